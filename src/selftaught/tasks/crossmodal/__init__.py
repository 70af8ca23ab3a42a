"""Tasks that learn from several modalities."""
