"""The Background Task Lab: Python's ways of running work in the background, on one axis."""
