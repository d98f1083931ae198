"""Contains the backends, one file each; a backend's name is its file name, with ``-`` for ``_``.

`docs/add-a-backend.md` describes how to add one. Each class has a distinct name, which identifies
the backend in tracebacks. The registry lists all of them, and the contract test runs them. Another
package can add backends with the entry point ``lab.backends``.
"""
