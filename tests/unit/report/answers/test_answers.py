"""Tests the answers: they follow from the rows, list them, and are empty without them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace

import pandas as pd
import pytest

from lab.analysis.labels import identify
from lab.cli.parser import parse
from lab.figures import Tables
from lab.report.answers import QUESTIONS, answers
from lab.report.answers.answer import Sentence
from lab.report.answers.guarantees import claimed, cron_in_a_container, losses, punctuality
from lab.report.answers.interpreters import free_threads
from lab.report.answers.ranked import ranked
from lab.report.answers.resources import cold_start, payloads
from lab.report.answers.speed import latency, overhead, scaling, threads
from lab.report.number_format import seconds
from lab.report.overview import COLUMNS, lines
from tests.factories.campaigns import LOST_EVERY, SYSTEMS, Campaign, campaign
from tests.factories.rows import a_row
from tests.factories.schedules import with_schedules

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "executor", "worker"})
PLAN = Campaign(systems=FEW, blocks=6)


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return a campaign of a plain loop, threads and a queue, with schedules."""
    return with_schedules(campaign(PLAN))


def only(sentences: list[Sentence], text: str) -> Sentence:
    """Return the only sentence that contains `text`."""
    (match,) = [sentence for sentence in sentences if text in sentence.text]
    return match


def test_every_listed_row_exists(tables: Tables) -> None:
    """Each id is in a table, and each estimate belongs to a label of its sentence."""
    known = set(tables["trial"]["trial_id"])
    names = {"inline[call]@default": "inline", "rq[worker]@default": "rq"}
    for answered in answers(tables):
        for said in answered.said:
            assert said.rows, said.text
            numbers = [re.fullmatch(r"estimate\.csv row (\d+)", row) for row in said.rows]
            for number in filter(None, numbers):
                row = tables["estimate"].iloc[int(number[1]) - 1]
                assert names.get(row.label, "thread-pool") in said.text
            trials = {r for r, number in zip(said.rows, numbers, strict=True) if not number}
            assert trials <= known


def test_without_rows_no_answer_has_a_sentence(tables: Tables) -> None:
    """Each then has a command that measures it, or a description of what is missing."""
    empty = {name: table.head(0) for name, table in tables.items()}
    for answered in answers({**empty, "campaign": tables["campaign"]}):
        assert answered.said == []
        assert answered.question.command or answered.question.lack


@pytest.mark.parametrize("command", [q.command for q in QUESTIONS if q.command])
def test_the_command_of_a_question_is_valid(command: str) -> None:
    """The parser of the lab accepts it."""
    program, *words = shlex.split(command)
    assert (program, parse(words).command) == ("lab", "bench")


def test_losses_are_counted_by_label(tables: Tables) -> None:
    """A label with losses has counts of tasks and trials; without any loss there is a bound."""
    lost, doubled = losses(tables)
    paced = tables["trial"].query("backend == 'rq' and arrival == 'paced'")
    count = int(paced["n_lost"].sum())
    assert count == len(paced) * (PLAN.paced_tasks // LOST_EVERY)
    assert f"rq {count} tasks in {len(paced)} trials" in lost.text
    assert set(lost.rows) == set(paced["trial_id"])
    assert "completed more than once: with 95 % confidence fewer than" in doubled.text


def test_overhead_is_ranked_and_compared_with_the_loop(tables: Tables) -> None:
    """The cheapest is first; slower labels have their ratio to the loop."""
    said = list(overhead(tables))
    first = only(said, "Overhead per task, noop, 1 core, 1 worker: ").text
    assert re.search(r"worker: inline .*; thread-pool .*; rq ", first)
    slower = only(said, "For tasks of noop, slower than a plain loop").text
    assert re.search(r"thread-pool on 1 core, 1 worker takes 2\d\.\d times", slower)
    assert "rq on 1 core" in slower


def test_the_answer_follows_the_rows(tables: Tables) -> None:
    """With the queue's numbers a million times smaller it is the cheapest."""
    table = tables["estimate"]
    queue = table["label"].str.startswith("rq")
    changed = table.assign(estimate=table["estimate"].where(~queue, table["estimate"] / 1e6))
    first = only(list(overhead({**tables, "estimate": changed})), "noop, 1 core, 1 worker: ").text
    assert "worker: rq " in first


def test_few_blocks_rank_nothing() -> None:
    """Three blocks have no interval, so no label is faster than another (METHOD M2)."""
    few = campaign(replace(PLAN, blocks=3))
    loop = only(list(overhead(few)), "For tasks of noop").text
    assert "measured in too few blocks to be compared with a plain loop" in loop
    # Once, and not behind each of some sixty numbers.
    assert loop.count("(no interval: 3 of the 5 blocks that it needs)") == 1
    gains = only(list(scaling(few)), "cpu 1 ms").text
    assert gains.count("no interval") == 1
    waits = only(list(latency(few)), "median wait").text
    why = "measured in too few blocks to be compared with the first"
    assert f"(thread-pool, rq {why})" in waits


def test_waits_are_ranked_at_their_rate(tables: Tables) -> None:
    """Each offered rate has an order; with six blocks these three labels differ."""
    waits = only(list(latency(tables)), "median wait").text
    assert waits.startswith("noop at 100/s, 1 core, 1 worker, median wait: inline ")
    assert "inconclusive" not in waits
    assert re.search(r"thread-pool .* us \(.* to .*\); rq .* ms", waits)


def test_a_load_level_of_a_single_label_is_not_ranked(synthetic: Tables) -> None:
    """Of a load sweep, the answer has only the rates that several labels share."""
    levels = {f"{rate:g}/s" for rate in synthetic["trial"].query("arrival == 'load-level'").rate_hz}
    ranked = [s for s in latency(synthetic) if any(f" at {rate}" in s.text for rate in levels)]
    assert ranked
    assert min(len(sentence.parts) for sentence in ranked) > 1


def test_scaling_reports_where_gains_end(tables: Tables) -> None:
    """A queue of processes gains up to the largest number of workers."""
    cpu = only(list(scaling(tables)), "cpu 1 ms: ").text
    of = {part.split()[0]: part for part in cpu.removeprefix("cpu 1 ms: ").split("; ")}
    assert "beyond" not in of["rq"]
    assert "from 1 to 2 workers" in of["rq"]
    only(list(threads(tables)), "cpu 1 ms, throughput relative to a plain loop: thread-pool with 1")


POOLS = replace(PLAN, systems=(FEW[1], SYSTEMS[5]))


def test_free_threads_need_a_python_without_the_gil(tables: Tables) -> None:
    """With the GIL there is no sentence; the settings of a row have it as the driver read it."""
    assert list(free_threads(tables)) == []
    both = campaign(POOLS)
    locked = both["trial"].assign(settings='{"gil": true}')
    assert list(free_threads({**both, "trial": locked})) == []
    said = list(free_threads({**both, "trial": locked.assign(settings='{"gil": false}')}))
    # From Python 3.14 on, fork is not the first variant, and the name of the pool says so.
    (pool,) = {name for name in identify(both["trial"])["name"] if name.startswith("process-pool")}
    assert [each.text.partition(":")[0] for each in said] == [
        f"cpu 1 ms, {cores}, the Python of the lab, throughput relative to {pool}"
        for cores in ("1 core, 1 worker", "2 cores, 2 workers")
    ]


def test_threads_without_the_gil_are_compared_with_themselves_with_it() -> None:
    """Both environments run in the same blocks; here the free-threaded one is twice as fast."""
    both = campaign(POOLS)
    free = both["trial"].assign(environment="3.13t", settings='{"gil": false}')
    free = free.assign(trial_id=free["trial_id"] + "t")
    locked = both["trial"].assign(environment="3.13", settings='{"gil": true}')
    faster = both["metric"].assign(trial_id=both["metric"]["trial_id"] + "t")
    faster["value"] *= 2
    tables = {
        **both,
        "trial": pd.concat([locked, free], ignore_index=True),
        "metric": pd.concat([both["metric"], faster], ignore_index=True),
    }
    said = list(free_threads(tables))
    place = "cpu 1 ms, 2 cores, 2 workers, 3.13t"
    itself = only(said, f"{place} relative to 3.13, throughput")
    assert itself.parts == ["thread-pool gains, 2.00 times (2.00 to 2.00)"]
    of_both = only(said, f"{place}, throughput relative to process-pool")
    assert set(of_both.rows) <= set(free["trial_id"])
    assert not [
        sentence for sentence in said if "3.13, throughput relative to process" in sentence.text
    ]


@pytest.mark.parametrize("answer", [overhead, scaling, threads])
def test_a_system_is_compared_with_the_loop_of_its_environment(
    answer: Callable[[Tables], Iterator[Sentence]], tables: Tables
) -> None:
    """The ratios of each environment are those of a run in that environment alone."""
    names = ("3.13", "3.14")
    copies = [
        {
            name: tables[name].assign(
                trial_id=tables[name]["trial_id"] + f"-{version}",
                **({"environment": version} if name == "trial" else {}),
            )
            for name in ("trial", "metric")
        }
        for version in names
    ]
    copies[1]["metric"]["value"] *= 3
    both = {name: pd.concat([c[name] for c in copies], ignore_index=True) for name in copies[0]}
    no_estimates = {"estimate": tables["estimate"].head(0)}
    alone = [list(answer({**tables, **copy, **no_estimates})) for copy in copies]
    together = list(answer({**tables, **both, **no_estimates}))
    assert together
    assert {s.text for s in together} == {s.text for said in alone for s in said}


def test_schedules_have_missed_and_doubled_occurrences(tables: Tables) -> None:
    """One occurrence of each trial is missed and one doubled."""
    said = only(list(punctuality(tables)), "1 job every 1 s")
    assert "2 missed, 2 doubled" in said.text
    periodic = tables["trial"].query("arrival == 'periodic'")
    assert set(said.rows) <= set(periodic["trial_id"])


def test_cron_counts_only_in_containers(tables: Tables) -> None:
    """The trials answer the question only if their rows have images."""
    trials = tables["trial"]
    periodic = trials["arrival"] == "periodic"
    cron = trials.assign(backend=trials["backend"].where(~periodic, "django-crontab"))
    assert list(cron_in_a_container({**tables, "trial": cron})) == []
    (said,) = cron_in_a_container({**tables, "trial": cron.assign(images="lab")})
    assert said.text.startswith("232 of 240 occurrences ran in containers")


def test_claimed_reports_measured_verdicts(tables: Tables) -> None:
    """A verdict has its trials; claims that were not measured are left out."""
    rows = [
        a_row("claim", backend="celery", claim="retry", verdict="holds", trials="a b"),
        a_row("claim", backend="rq", claim="retry", verdict="not measured: no"),
        a_row("claim", backend="rq", claim="priority", verdict="holds"),
    ]
    (said,) = claimed("retry")({**tables, "claim": pd.DataFrame(rows)})
    assert (said.text, said.rows) == ("celery, retry: holds. x", ["a", "b"])


def test_boots_and_payloads(tables: Tables) -> None:
    """The first label to be ready is listed first; payloads are listed by size."""
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


def test_groups_are_ranked_by_size(tables: Tables) -> None:
    """Groups of 5 and of 10 have separate sentences, each with the smallest number first."""
    assert list(ranked("group_s_p50", "groups of {param:g}", seconds)(tables)) == []
    burst = tables["estimate"].query("metric == 'overhead_s_per_task' and workload == 'noop'")
    sizes = {"trial": tables["trial"].query("arrival == 'burst'"), "estimate": burst}
    both = {
        name: pd.concat(
            [rows.assign(arrival_param=5.0), rows.assign(arrival_param=10.0)], ignore_index=True
        )
        for name, rows in sizes.items()
    }
    both["estimate"] = both["estimate"].assign(metric="group_s_p50")
    said = list(ranked("group_s_p50", "groups of {param:g}", seconds)({**tables, **both}))
    few = only(said, "noop, 1 core, 1 worker, groups of 5")
    assert [part.split()[0] for part in few.parts] == ["inline", "thread-pool", "rq"]
    only(said, "noop, 1 core, 1 worker, groups of 10")


def test_the_overview_has_every_label_and_no_empty_cell(tables: Tables) -> None:
    """Every cell has a text, and every column belongs to a question."""
    names = {question.name for question in QUESTIONS}
    assert {column.question for column in COLUMNS} <= names
    rows = {line.name: line.numbers for line in lines(tables)}
    assert set(rows) == {"inline", "thread-pool", "rq"}
    assert all(number.text for numbers in rows.values() for number in numbers)
    lost = rows["rq"][0]
    assert lost.value is not None
    assert lost.value > 0


def test_durations_are_in_seconds_milliseconds_or_microseconds() -> None:
    """The unit is the largest that is not above the value."""
    assert [seconds(x) for x in (2.5, 0.0112, 4.2e-7)] == ["2.50 s", "11.2 ms", "0.420 us"]
