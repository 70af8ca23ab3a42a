"""What tasks on clips share."""
