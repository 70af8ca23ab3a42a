"""Tasks that learn from context and from likeness."""
