"""One file a system under test; the file's name is the backend's key everywhere.

To add a backend, add one file here, named after the system with ``_`` for ``-``:

1. One subclass of `lab.backend.Backend`, with a class name of its own, so that tracebacks tell
   systems apart. `family`, `summary`, `variants` and, where the system documents more than its
   defaults, `profiles` are class attributes; each setting has a sentence and a source in `why`.
2. `start` and `stop`, and mostly `submit`, which hands `kernel.execute, task.id, task.function,
   task.argument` to the system by the call that its documentation shows, and nothing else: an
   adapter never measures, paces, batches on its own account or retries.
3. The methods of the capabilities that the variants claim, and no others. A result is
   waited for by the system's own blocking call, never by polling.
4. `node_commands`, where the system has workers of its own: its documented worker command.
5. Imports of the system's packages inside methods; their names in `packages`, and the extra of
   pyproject.toml that installs them in `extra`.

The registry then lists it and the contract test runs it. A package of somebody else's does the
same by declaring the entry point ``lab.backends``.
"""
