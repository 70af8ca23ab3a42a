"""Files that may hold several images, of which each, or a window of one, can be read alone."""
