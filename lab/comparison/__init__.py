"""Compares two sets of trials: which metrics changed, by how much, and how certain that is.

`inputs` loads the trials that a name selects, `compare` compares their metrics, `aa` measures the
noise of this machine by an A/A test, `interleaved` measures two commits in alternating blocks, and
`render` formats the result.
"""
