"""Judges trials: what became of each task, and whether the numbers may be used."""
