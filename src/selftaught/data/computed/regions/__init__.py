"""Superpixels of frames, what describes them, saliency over them, and fields that refine masks."""
