"""From a file on disk to the batch of a step."""
