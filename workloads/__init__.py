"""Contains the tasks that every backend runs, one file per workload.

To add a workload, write a file here that uses only the standard library, because every worker
imports it. It defines:

* ``SUMMARY``, ``UNIT`` (the unit of a size on the command line) and ``DEFAULT_SIZE``;
* ``calibrate(size)``: the size in the unit of `argument`, for this machine;
* ``nominal_ns(size)``: the intended duration of a task of this size, or 0 if it has none;
* ``argument(size, seed)``: the argument of one task, a pure function;
* ``run(argument)`` and ``run_async(argument)``: the task, as function and as coroutine;
* ``answer(argument)``: the right answer, computed by another method if there is one;
* ``seen(endpoints)``, only if tasks have a side effect: its extent as the driver sees it.

The lab then lists, tests and measures it.
"""
