"""Folders and zips, and what the names in them say."""
