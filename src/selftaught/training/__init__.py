"""The one loop, from settings to a checkpoint."""
