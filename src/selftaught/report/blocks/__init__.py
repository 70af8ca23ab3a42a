"""Tables, plots and images of a page."""
