"""From bytes to pixels, frames and audio."""
