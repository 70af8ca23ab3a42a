"""Data that probes are fitted and evaluated on: with classes, boxes, masks, or without annotations."""
