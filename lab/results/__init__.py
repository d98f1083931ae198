"""The tables of results as files, and their schema."""
