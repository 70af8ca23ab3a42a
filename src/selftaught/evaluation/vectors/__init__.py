"""Vectors of many samples on disk: written by several processes, searched without being held in memory."""
