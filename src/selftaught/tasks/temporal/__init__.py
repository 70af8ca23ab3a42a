"""Tasks that learn from order in time."""
