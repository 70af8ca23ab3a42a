"""Poses of a camera in the formats of data sets: by frames and by time."""
