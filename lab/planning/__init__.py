"""Decides which trials run, and in which order."""
