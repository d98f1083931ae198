"""Submits the tasks of one trial, in a process of its own."""
