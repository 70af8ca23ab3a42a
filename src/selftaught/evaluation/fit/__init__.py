"""What probes fit on features."""
