"""Samples that are decoded once and then read at memory speed."""
