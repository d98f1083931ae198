"""Compares two sets of trials: what moved, by how much, and whether that can be told.

`sides` finds the trials that a name means, `judge` compares their numbers, `null` measures what
this machine shows where nothing differs, and `wording` writes it down.
"""
