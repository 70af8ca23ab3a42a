"""The data that probes fit on and are judged by: classes, boxes and masks, or none."""
