"""The tasks that every backend runs, one file a workload.

To add one, write a file here with the standard library only, because any worker imports it:

* ``SUMMARY``, ``UNIT`` (of a size as a person types it) and ``DEFAULT_SIZE``;
* ``calibrate(size)``: the size in the unit that `argument` takes, for this machine;
* ``nominal_ns(size)``: how long a task of that typed size should take, 0 where it has no duration;
* ``argument(size, seed)``: what one task is given, a pure function;
* ``run(argument)`` and ``run_async(argument)``: the task, as function and as coroutine;
* ``answer(argument)``: the right answer, computed another way where there is one;
* where tasks leave something behind, ``seen(endpoints)``: how much of it the submitter sees.

It is then listed, contract-tested and measured.
"""
