"""What two or more tasks share."""
