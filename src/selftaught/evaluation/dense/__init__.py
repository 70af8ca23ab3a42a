"""Detectors and segmentation networks on the stages of an encoder."""
