"""Weights of others from a file into an encoder."""
