"""Samples that are rendered while a task trains, by processes of their own."""
