"""An encoder read over samples, and what can be said of vectors."""
