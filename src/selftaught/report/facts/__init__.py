"""What run folders say, as plain values and words."""
