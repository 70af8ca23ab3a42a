"""Spectrograms and statistics of audio."""
