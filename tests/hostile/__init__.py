"""Inputs that were made to harm, or were harmed."""
