"""Tests the entries of the registry: complete, unique, and the only source of metrics."""

from __future__ import annotations

import ast
from pathlib import Path

from lab import analysis
from lab.analysis.metrics import registry
from lab.analysis.metrics.registry import METRICS
from lab.analysis.queries import Tables
from lab.results.schema.metric import MetricRow

ANALYSIS = Path(analysis.__path__[0])


def test_each_metric_has_unit_direction_and_description() -> None:
    """The name of a duration contains its unit."""
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit in {"s", "1/s", "1", "bytes", "bytes/s", "tasks"}
        assert ("_s_" in f"{name}_".replace("_per_s_", "")) == (metric.unit == "s"), name
        assert metric.better in {"lower", "higher"}
        assert metric.about.endswith(".")


def test_nothing_is_a_metric_outside_the_registry(synthetic: Tables) -> None:
    """Each row of the table has the name and the unit of an entry, and only entries make rows."""
    table = synthetic["metric"]
    assert set(table["metric"]) <= set(METRICS)
    assert all(
        METRICS[name].unit == unit for name, unit in zip(table.metric, table.unit, strict=True)
    )
    makers = {
        str(file.relative_to(ANALYSIS))
        for file in ANALYSIS.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == MetricRow.__name__
    }
    of_modules = {str(Path(str(m.__file__)).relative_to(ANALYSIS)) for m in registry.MODULES}
    assert makers <= {"metrics/registry.py", *of_modules}


def test_every_name_belongs_to_one_entry() -> None:
    """A second entry of the same name would replace the first without a message."""
    names = [metric.name for module in registry.MODULES for metric in module.metrics()]
    assert len(names) == len(set(names)) == len(METRICS)
