"""How long a run is: its schedule, a measured start, and what a time budget allows."""
