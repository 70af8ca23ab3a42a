"""Networks of depth and of the motion of a camera."""
