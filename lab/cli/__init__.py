"""Implements the command line: one file per command, its options, selection and progress."""
