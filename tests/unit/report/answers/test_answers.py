"""Answers are made from rows: they change with them, name them, and say when there are none."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pandas as pd
import pytest

from lab.cli.main import parser
from lab.figures import Tables
from lab.report.answers import QUESTIONS, answers
from lab.report.answers.answer import Said
from lab.report.answers.guarantees import claimed, cron_in_a_container, losses, punctuality
from lab.report.answers.ranked import ranked
from lab.report.answers.resources import cold_start, payloads
from lab.report.answers.speed import free_threads, latency, overhead, scaling, threads
from lab.report.number_format import seconds
from lab.report.overview import COLUMNS, lines
from tests.factories.campaigns import LOST_EVERY, SYSTEMS, Campaign, campaign
from tests.factories.rows import a_row
from tests.factories.schedules import with_schedules

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "pool", "simple-worker"})
PLAN = Campaign(systems=FEW, blocks=6)


@pytest.fixture(scope="module")
def tables() -> Tables:
    """A campaign of a plain loop, threads and a queue, with schedules."""
    return with_schedules(campaign(PLAN))


def only(said: list[Said], words: str) -> Said:
    """The one sentence that holds these words."""
    (found,) = [sentence for sentence in said if words in sentence.text]
    return found


def test_every_row_that_is_named_is_there(tables: Tables) -> None:
    """A reader can look up each id, and the estimate that a sentence tells is in its row."""
    known = set(tables["trial"]["trial_id"])
    names = {"inline[call]@default": "inline", "rq[simple-worker]@default": "rq"}
    for answered in answers(tables):
        for said in answered.said:
            assert said.rows, said.text
            numbers = [re.fullmatch(r"estimate\.csv row (\d+)", row) for row in said.rows]
            for found in filter(None, numbers):
                row = tables["estimate"].iloc[int(found[1]) - 1]
                assert names.get(row.label, "thread-pool") in said.text
            trials = {r for r, found in zip(said.rows, numbers, strict=True) if not found}
            assert trials <= known


def test_nothing_measured_is_nothing_said(tables: Tables) -> None:
    """Without a row no answer holds a sentence; each names a command, or what is lacking."""
    empty = {name: table.head(0) for name, table in tables.items()}
    for answered in answers({**empty, "campaign": tables["campaign"]}):
        assert answered.said == []
        assert answered.question.command or answered.question.lack


@pytest.mark.parametrize("command", [q.command for q in QUESTIONS if q.command])
def test_the_command_that_would_measure_it_is_one(command: str) -> None:
    """What a reader is told to type is understood."""
    _, _, session, _, *words = shlex.split(command)
    assert parser().parse_args([session, *words]).command == session


def test_losses_are_counted_and_blamed(tables: Tables) -> None:
    """Who lost is named with how many in how many trials; where none did, a bound stands."""
    lost, doubled = losses(tables)
    paced = tables["trial"].query("backend == 'rq' and arrival == 'paced'")
    count = int(paced["n_lost"].sum())
    assert count == len(paced) * (PLAN.paced_tasks // LOST_EVERY)
    assert f"rq {count} tasks in {len(paced)} trials" in lost.text
    assert set(lost.rows) == set(paced["trial_id"])
    assert "completed more than once: with 95 % confidence fewer than" in doubled.text


def test_overhead_is_ranked_and_set_against_the_loop(tables: Tables) -> None:
    """The cheapest comes first; what the pairs cannot tell apart is not called slower."""
    said = list(overhead(tables))
    first = only(said, "Overhead per task, noop, 1 core, 1 worker: ").text
    assert re.search(r"worker: inline .*; thread-pool .*; rq ", first)
    slower = only(said, "For tasks of noop, slower than a plain loop").text
    assert re.search(r"thread-pool on 1 core, 1 worker takes 2\d\.\d times", slower)
    assert "rq on 1 core" in slower


def test_the_answer_turns_when_the_rows_do(tables: Tables) -> None:
    """With the queue's numbers a thousand times smaller it is the cheapest."""
    found = tables["estimate"]
    queue = found["label"].str.startswith("rq")
    turned = found.assign(estimate=found["estimate"].where(~queue, found["estimate"] / 1e6))
    first = only(list(overhead({**tables, "estimate": turned})), "noop, 1 core, 1 worker: ").text
    assert "worker: rq " in first


def test_few_blocks_rank_nothing() -> None:
    """Three blocks give no interval, so nothing is quicker than anything (METHOD M2)."""
    few = campaign(replace(PLAN, blocks=3))
    loop = only(list(overhead(few)), "For tasks of noop").text
    assert "not significantly different from a plain loop" in loop
    assert "no interval: 3 blocks" in loop
    waits = only(list(latency(few)), "median wait").text
    assert "(thread-pool, rq not significantly different from the first)" in waits


def test_waits_are_ranked_at_their_rate(tables: Tables) -> None:
    """Each offered rate has its own order; six blocks tell these three systems apart."""
    waits = only(list(latency(tables)), "median wait").text
    assert waits.startswith("noop at 100/s, 1 core, 1 worker, median wait: inline ")
    assert "not significantly different" not in waits
    assert re.search(r"thread-pool .* us \(.* to .*\); rq .* ms", waits)


def test_a_step_of_a_ladder_at_which_nobody_else_was_asked_ranks_nobody(made_up: Tables) -> None:
    """Of a ladder, only the rates that are equal for all are told; the rest is a curve."""
    steps = {f"{rate:g}/s" for rate in made_up["trial"].query("arrival == 'ladder'").rate_hz}
    told = [said for said in latency(made_up) if any(f" at {rate}" in said.text for rate in steps)]
    assert told
    assert min(len(said.parts) for said in told) > 1


def test_scaling_says_how_far_it_goes(tables: Tables) -> None:
    """Threads stop where the interpreter's lock stops them, and a queue of processes goes on."""
    cpu = only(list(scaling(tables)), "cpu 1 ms: ").text
    of = {part.split()[0]: part for part in cpu.removeprefix("cpu 1 ms: ").split("; ")}
    assert "beyond" not in of["rq"]
    assert "from 1 to 2 workers" in of["rq"]
    only(list(threads(tables)), "cpu 1 ms, throughput relative to a plain loop: thread-pool with 1")


def test_free_threads_are_told_only_without_the_lock(tables: Tables) -> None:
    """With the lock on there is nothing to say."""
    assert list(free_threads(tables)) == []
    both = campaign(replace(PLAN, systems=(FEW[1], SYSTEMS[5])))
    fact = both["environment"].iloc[0].to_dict() | {"key": "python.gil", "value": "0"}
    unlocked = pd.concat([both["environment"], pd.DataFrame([fact])], ignore_index=True)
    said = list(free_threads({**both, "environment": unlocked}))
    assert "cpu 1 ms, 1 core, 1 worker, throughput: thread-pool has " in said[0].text


def test_schedules_are_told_with_their_misses(tables: Tables) -> None:
    """One run of each trial was missed and one doubled."""
    said = only(list(punctuality(tables)), "1 job every 1 s")
    assert "2 missed, 2 doubled" in said.text
    periodic = tables["trial"].query("arrival == 'periodic'")
    assert set(said.rows) <= set(periodic["trial_id"])


def test_cron_counts_only_in_containers(tables: Tables) -> None:
    """The same trials answer the question when images stand in their rows, and not before."""
    trials = tables["trial"]
    own = trials["arrival"] == "periodic"
    cron = trials.assign(backend=trials["backend"].where(~own, "django-crontab"))
    assert list(cron_in_a_container({**tables, "trial": cron})) == []
    (said,) = cron_in_a_container({**tables, "trial": cron.assign(images="lab")})
    assert said.text.startswith("232 of 240 occurrences ran in containers")


def test_claims_answer_what_is_claimed(tables: Tables) -> None:
    """What `lab claims` found is told with its trials; what it did not measure is not."""
    rows = [
        a_row("claim", backend="celery", claim="retry", verdict="holds", trials="a b"),
        a_row("claim", backend="rq", claim="retry", verdict="not measured: no"),
        a_row("claim", backend="rq", claim="priority", verdict="holds"),
    ]
    (said,) = claimed("retry")({**tables, "claim": pd.DataFrame(rows)})
    assert (said.text, said.rows) == ("celery, retry: holds. x", ["a", "b"])


def test_boots_and_payloads(tables: Tables) -> None:
    """The quickest to be ready comes first; payloads are told by their size."""
    trials = tables["trial"]
    took = trials["backend"].map({"inline": 1, "thread-pool": 2, "rq": 3}) * 1_000_000_000
    said = only(list(cold_start({**tables, "trial": trials.assign(boot_ns=took)})), "1 core, 1 w")
    assert re.search(r": inline 1\.00 s .*; thread-pool 2\.00 s .*; rq 3\.00 s ", said.text)
    renamed = {
        name: table.assign(workload="payload")
        for name, table in tables.items()
        if name in {"trial", "estimate"}
    }
    assert list(payloads(tables)) == []
    only(list(payloads({**tables, **renamed})), "1 core, 1 worker, tasks per second: inline")


def test_groups_are_told_by_their_size(tables: Tables) -> None:
    """Estimates of groups of 5 and of 10 are told apart, each with the smallest first."""
    assert list(ranked("group_s_p50", "groups of {shape:g}", seconds)(tables)) == []
    burst = tables["estimate"].query("metric == 'overhead_s_per_task' and workload == 'noop'")
    sizes = {"trial": tables["trial"].query("arrival == 'burst'"), "estimate": burst}
    both = {
        name: pd.concat([rows.assign(shape=5.0), rows.assign(shape=10.0)], ignore_index=True)
        for name, rows in sizes.items()
    }
    both["estimate"] = both["estimate"].assign(metric="group_s_p50")
    said = list(ranked("group_s_p50", "groups of {shape:g}", seconds)({**tables, **both}))
    few = only(said, "noop, 1 core, 1 worker, groups of 5")
    assert [part.split()[0] for part in few.parts] == ["inline", "thread-pool", "rq"]
    only(said, "noop, 1 core, 1 worker, groups of 10")


def test_the_matrix_has_every_label_and_every_question(tables: Tables) -> None:
    """A number for each question that was measured, and never an empty cell."""
    names = {question.name for question in QUESTIONS}
    assert {column.question for column in COLUMNS} <= names
    made = {line.name: line.numbers for line in lines(tables)}
    assert set(made) == {"inline", "thread-pool", "rq"}
    assert all(number.text for numbers in made.values() for number in numbers)
    lost = made["rq"][0]
    assert lost.value is not None
    assert lost.value > 0


def test_durations_have_the_unit_that_suits_them() -> None:
    """Seconds, milliseconds, microseconds."""
    assert [seconds(x) for x in (2.5, 0.0112, 4.2e-7)] == ["2.50 s", "11.2 ms", "0.420 us"]
