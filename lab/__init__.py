"""Compares Python's ways of running work in the background, on one axis."""
