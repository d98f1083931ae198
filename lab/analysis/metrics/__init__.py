"""Defines the metrics of one trial, one file per kind; `registry` lists them all."""
