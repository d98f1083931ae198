"""One file a system under test; the file's name, with ``-`` for ``_``, is its key everywhere.

`docs/add-a-backend.md` says how to write one. Its class has a name of its own, so that tracebacks
tell systems apart. The registry lists it and the contract test runs it; a package of somebody
else's does the same by declaring the entry point ``lab.backends``.
"""
