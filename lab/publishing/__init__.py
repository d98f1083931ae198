"""Publishes a run as a data package, and reruns one of its rows.

`package` writes the folder to upload, `reproduce` runs the trial of one row on this machine.
"""
