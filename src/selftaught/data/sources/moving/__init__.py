"""Videos that a program draws of real digits and photographs, with every factor known."""
