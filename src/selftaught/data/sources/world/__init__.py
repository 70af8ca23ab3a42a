"""A world that labels itself: scenes that fall, roll and collide, rendered with all that is known of them."""
