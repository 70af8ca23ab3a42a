"""Tasks that learn from labels a program computes."""
