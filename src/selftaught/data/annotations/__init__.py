"""Formats of boxes and masks."""
