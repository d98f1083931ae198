"""Defines the asv suite; names, axes and units are those of lab/history/suite.py.

`nox -s bench` exports its results to asv. asv can also measure commits itself: `asv run A..B`, or
`asv continuous A B`. It then runs the cells of the preset quick on backends that need no server.
Environment variables change the selection:

* ``LAB_BACKENDS=celery,rq``: the backends;
* ``LAB_CORES=1,2``: the cores per node;
* ``LAB_BLOCKS=10``: the number of blocks;
* ``LAB_PRESET=standard``: the cells of the larger preset.
"""
