"""Tasks that bring views of one image together."""
