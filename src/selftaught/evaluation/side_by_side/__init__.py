"""Tasks of a comparison, each trained and measured on its own: one by one, or side by side."""
