"""Stores the tables of results as files, and declares their schema."""
