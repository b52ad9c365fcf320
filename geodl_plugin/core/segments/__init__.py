"""Segments of an image: the outline of what a person points at."""
