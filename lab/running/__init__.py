"""Runs one trial on a cluster, and what must be measured around trials."""
