"""Compares two sets of trials: which metrics differ, by how much, and whether the data show it.

`inputs` finds the trials that a name means, `compare` compares their metrics, `aa` measures what
this machine shows without any difference, `interleaved` runs two commits in alternating blocks,
and `render` writes the result.
"""
