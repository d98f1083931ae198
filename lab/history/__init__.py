"""Results over commits: asv's files and pages of them, and the steps in their curves.

CSV is the source of truth. `export` writes asv's files anew from all runs, so nothing in them can
be lost or edited by hand. `steps` looks for what moved, and `run` is what `asv run` measures.
"""
