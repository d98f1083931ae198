"""Answers users' questions from the tables of a run, the most frequent question first.

The order is the number of threads in the issue trackers of the backends: loss, overhead, latency
and memory come before speed. An answer is a function from tables to sentences; each sentence lists
its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.analysis.disturbed import AsCounted
from lab.analysis.queries import WithoutFaults
from lab.core.model import Capability, Flag
from lab.figures import Tables
from lab.report.answers.answer import Question, QuestionAnswer
from lab.report.answers.commands import BENCH, command_of
from lab.report.answers.contracts import among_equals
from lab.report.answers.failures import failures
from lab.report.answers.guarantees import claimed, cron_in_a_container, losses, punctuality
from lab.report.answers.interpreters import free_threads
from lab.report.answers.ranked import ranked, together
from lab.report.answers.resources import cold_start, memory, payloads, waiting
from lab.report.answers.speed import latency, overhead, scaling, threads
from lab.report.answers.unranked import unranked
from lab.report.number_format import percent, seconds

__all__ = ["QUESTIONS", "answers"]

QUESTIONS = (
    Question(
        "faults",
        "Is a task lost or run twice when something dies?",
        failures,
        command=f"{BENCH} --experiment faults",
        has_faults=True,
    ),
    Question(
        "lost",
        "Is a task lost or run twice when nothing fails?",
        losses,
        command=f"{BENCH} --workload noop --arrival burst",
    ),
    Question(
        "overhead",
        "How large is the overhead of a task, and when is a plain loop faster?",
        overhead,
        # `quick` has three blocks and no interval (METHOD M2), so it cannot rank systems.
        command=f"{BENCH} --preset standard --arrival burst",
    ),
    Question(
        "latency",
        "Which backend has the lowest latency, and does its polling add delay?",
        latency,
        command=f"{BENCH} --preset standard --arrival paced",
    ),
    Question(
        "contracts",
        "Which of those that promise the same, such as at-least-once delivery, is fastest?",
        among_equals,
        command=f"{BENCH} --preset standard",
    ),
    Question(
        "memory",
        "How much memory does a worker use, and does it leak?",
        memory,
        command=f"{BENCH} --experiment memory",
    ),
    Question(
        "schedule",
        "Is the schedule kept: drift, missed and doubled firings?",
        punctuality,
        command=f"{BENCH} --experiment periodic",
        needs=frozenset({Capability.SCHEDULE, Capability.RESCHEDULE}),
    ),
    Question(
        "scaling",
        "Do more workers help, and up to how many?",
        scaling,
        command=f"{BENCH} --preset standard --arrival burst --workload cpu --workload io",
        has_sizes=True,
    ),
    Question(
        "fairness",
        "Do urgent tasks overtake waiting tasks, and does any task starve?",
        together(
            claimed("priority"),
            ranked(
                "priority_inversion_ratio",
                "pairs in which a task of low priority started before one of {param:g} urgent",
                percent,
            ),
        ),
        command=f"{BENCH} --experiment shapes",
        needs=frozenset({Capability.PRIORITY}),
    ),
    Question(
        "idle",
        "What does an idle worker cost: CPU, polling, traffic?",
        waiting,
        # An idle window has 300 s in `standard`, and only 10 s in `quick` (METHOD M25).
        command=f"{BENCH} --preset standard --experiment idle",
    ),
    Question(
        "payload",
        "What do large payloads cost?",
        payloads,
        command=f"{BENCH} --preset standard --experiment payloads",
    ),
    Question(
        "cold-start",
        "How long does a new worker need until it runs its first task?",
        cold_start,
        command=f"{BENCH} --workload noop",
    ),
    Question(
        "free-threads",
        "On a free-threaded Python, are threads faster than processes?",
        free_threads,
        command=f"{BENCH} --preset standard --workload cpu --workload mixed --arrival burst "
        "--backend threading --backend thread-pool --backend 'asyncio[to_thread]' "
        "--backend process-pool --backend interpreter-pool "
        "--python 3.13 --python 3.13t --python 3.14",
    ),
    Question(
        "retries",
        "Do retries run after the requested delay?",
        together(
            claimed("retry"),
            ranked("retry_late_s_p50", "retries, later than the requested {param:g} s", seconds),
        ),
        command=f"{BENCH} --experiment shapes",
        needs=frozenset({Capability.RETRY}),
    ),
    Question(
        "fan-out",
        "What do fan-out and chords cost at scale?",
        together(
            ranked("group_s_p50", "groups of {param:g}, from submit to join", seconds),
            ranked("join_s_p50", "groups of {param:g}, from the last task to the join", seconds),
            ranked("link_s_p50", "chains of {param:g}, from link to link", seconds),
        ),
        command=f"{BENCH} --experiment shapes",
        needs=frozenset({Capability.GROUP, Capability.CHAIN}),
    ),
    Question(
        "crontab",
        "Does django-crontab run in a container?",
        cron_in_a_container,
        command=f"{BENCH} --provider compose --backend django-crontab --experiment periodic",
    ),
    Question(
        "threads",
        "Which workloads gain from threads under the GIL?",
        threads,
        # Ratios are paired within a block (METHOD M12), so both have to run in one campaign.
        command=f"{BENCH} --preset standard --workload cpu --workload io --backend inline "
        "--backend thread-pool",
    ),
)


def answers(tables: Tables) -> Sequence[QuestionAnswer]:
    """Answer every question in order; one that the run cannot answer has no sentence."""
    # Rates and losses of trials with faults belong to no other answer (METHOD M27).
    plain = WithoutFaults(tables)
    is_disturbed = bool((tables["trial"]["flag"] == Flag.DISTURBED).any())
    counted = AsCounted(tables) if is_disturbed else None
    plain_counted = WithoutFaults(counted) if counted else None
    return [
        _answer(question, tables, counted)
        if question.has_faults
        else _answer(question, plain, plain_counted)
        for question in QUESTIONS
    ]


def _answer(question: Question, tables: Tables, counted: Tables | None) -> QuestionAnswer:
    said = list(question.answer(tables))
    command = command_of(question, str(tables["campaign"]["command"].iloc[-1]))
    # The second answer is expensive, and differs from the first only where trials were disturbed.
    disturbed = unranked(tables, said, question.answer(counted)) if counted is not None else ""
    return QuestionAnswer(question, said, command, disturbed)
