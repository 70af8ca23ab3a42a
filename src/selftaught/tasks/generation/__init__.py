"""Tasks that learn by generating."""
