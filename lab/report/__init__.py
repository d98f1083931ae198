"""Writes the report of a run: a self-contained HTML page, and tables for the terminal.

It imports nothing: the words of numbers and reasons are needed without the library that draws.
"""
