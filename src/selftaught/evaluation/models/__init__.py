"""Encoders that answer: fitted to labels, calibrated, kept in a folder, and used on new data."""
