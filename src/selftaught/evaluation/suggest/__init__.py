"""What to label next, and what to look at again: near duplicates, outliers, likely label errors."""
