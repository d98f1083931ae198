"""A run as others can use it: a folder to upload, and a row of it measured again.

`package` writes the folder, `reproduce` runs one of its rows on this machine.
"""
