"""The asv suite: what each commit costs. Names, axes and units are those of lab/history/suite.py.

`nox -s bench` fills in all that it measured. An asv user can also let asv measure, commit by
commit: `asv run A..B`, `asv continuous A B`. That runs the cells of the preset quick on systems
that need no server; `LAB_BACKENDS=celery,rq`, `LAB_CORES=1,2` and `LAB_BLOCKS=10` change which, on
how much and how often, and `LAB_PRESET=standard` takes the cells of the larger preset.
"""
