"""Data sets and encoders that are Python objects."""
