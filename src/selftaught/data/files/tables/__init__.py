"""Tables of labels as other programs write them."""
