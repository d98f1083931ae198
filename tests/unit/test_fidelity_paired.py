"""Tests the comparisons of providers and of nodes: the sides of a round differ in one thing."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from lab.core.errors import LabError
from lab.core.model import Burst, Topology
from tests.factories.trials import spec_of
from tests.fidelity import nodes, providers
from tests.fidelity.paired import Question, ask, show


def test_each_round_has_every_side_once_and_becomes_a_ratio(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Values are paired, so the ratio is that of the sides and not of a drift."""
    sides = {name: spec_of("inline", "io", Burst(20), size=1_000) for name in ("first", "other")}
    question = Question("waiting", "throughput_per_s", [sides, sides])
    ask([question], random.Random(1))
    first, other = question.values["first"], question.values["other"]
    assert (len(first), len(other)) == (2, 2)
    ratio = math.sqrt(math.prod(other) / math.prod(first))
    show("Two sides", [question])
    printed = capsys.readouterr()
    assert f"{ratio:.3f}" in printed.out
    assert printed.err.count("throughput_per_s") == 4


def test_a_trial_that_fails_ends_it_with_its_reason() -> None:
    """A ratio of what did not work would be no ratio."""
    spec = spec_of("inline", deadline_s=20.0)
    question = Question("too few", "throughput_per_s", [{"one": replace(spec, arrival=Burst(5))}])
    with pytest.raises(LabError, match="has no throughput_per_s: .* needs 20 tasks"):
        ask([question], random.Random(1))


def test_providers_differ_in_the_provider_alone() -> None:
    """Tasks, instants and topology of a pair are the same; who keeps no results has no trip."""
    (throughput,) = providers.questions("celery[prefork]", 3, 1)
    names = [one.metric for one in providers.questions("thread-pool", 3, 1)]
    assert (throughput.metric, names) == (
        "throughput_per_s",
        ["throughput_per_s", "round_trip_s_p50"],
    )
    assert len({sides["local"].seed for sides in throughput.rounds}) == 3
    for sides in throughput.rounds:
        assert list(sides) == ["local", "compose"]
        assert replace(sides["compose"], provider="local") == sides["local"]


def test_nodes_differ_in_their_number_alone() -> None:
    """The work is calibrated once: all rounds compute the same."""
    question = nodes.question("celery[prefork]", "cpu", (1, 2, 4), 2, 1)
    assert [list(sides) for sides in question.rounds] == [["1 nodes", "2 nodes", "4 nodes"]] * 2
    trials = [trial for sides in question.rounds for trial in sides.values()]
    assert len({trial.size for trial in trials}) == 1
    assert [trial.topology for trial in trials[:3]] == [Topology(n, 1, 1) for n in (1, 2, 4)]
    assert {trial.provider for trial in trials} == {"compose"}
