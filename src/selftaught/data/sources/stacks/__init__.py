"""Files that hold several images each, as entries of a source."""
