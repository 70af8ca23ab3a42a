"""Depth: its order within an image, and what a camera that moves sees of it."""
