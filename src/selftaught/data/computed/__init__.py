"""Labels that a program computes once from the frames of a store and keeps beside it: optical flow, motion masks."""
