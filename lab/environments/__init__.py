"""Creates environments of driver and workers with uv, from the lock of a system and overrides.

`requirements` reads what a system needs, `uv` runs uv, `cache` keeps finished environments by their
content, `interpreters` finds Python, and `prepared` is what other rooms use.
"""
