"""Labels computed once from the frames of a store and saved next to it: optical flow, motion masks."""
