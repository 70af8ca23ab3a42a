"""A page as HTML, text, or lines in a terminal."""
