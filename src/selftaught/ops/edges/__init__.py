"""Edges of images and maps: where they are, and lines one pixel wide."""
