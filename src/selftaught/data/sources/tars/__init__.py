"""What sources of tars share."""
