"""Results over commits: asv's files and pages, and the change points in their curves.

CSV is the source of truth. `export` writes asv's files again from all runs, so nothing in them can
be lost or edited by hand. `change_points` finds what moved, and `asv_run` is what `asv run` starts.
"""
