"""Formats of what comes with images and videos: boxes, masks, depth, flow, poses."""
