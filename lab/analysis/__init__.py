"""Turns the tables of trials into metrics, estimates and sweeps."""
