"""Runs the trials of a plan and keeps their run folder."""
