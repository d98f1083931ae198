"""Presents results over commits: as asv's files and pages, and as change points.

The runs' CSV files are the source of truth. `export` rewrites asv's files from all runs, so that
they hold no manual edit. `change_points` detects change points; `asv_run` measures for `asv run`.
"""
