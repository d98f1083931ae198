"""Users' questions, ranked by how often they are asked, answered from the tables of a run.

The ranking counts threads in the systems' own trackers (loss, overhead, latency and memory come
before speed). An answer is a function from tables to sentences; each sentence names its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.figures import Tables
from lab.report.answers.answer import Answered, Question
from lab.report.answers.guarantees import claimed, cron_in_a_container, losses, punctuality
from lab.report.answers.ranked import ranked, together
from lab.report.answers.resources import cold_start, memory, payloads, waiting
from lab.report.answers.speed import free_threads, latency, overhead, scaling, threads
from lab.report.number_format import percent, seconds

__all__ = ["QUESTIONS", "answers"]

BENCH = "nox -s bench --"


QUESTIONS = (
    Question(
        "lost",
        "Will a task be lost or run twice?",
        losses,
        command=f"{BENCH} --workload noop --arrival burst",
        lack="what becomes of tasks when a worker or a broker dies",
    ),
    Question(
        "overhead",
        "What does a task cost, and when is that slower than a plain loop?",
        overhead,
        command=f"{BENCH} --preset standard --arrival burst",
    ),
    Question(
        "latency",
        "Which queue is faster, and do its polls add delay?",
        latency,
        command=f"{BENCH} --preset standard --arrival paced",
    ),
    Question(
        "memory",
        "How much memory does a worker take, and does it leak?",
        memory,
        command=f"{BENCH} --workload memory",
    ),
    Question(
        "schedule",
        "Is the schedule kept: drift, misses, double runs?",
        punctuality,
        command=f"{BENCH} --workload periodic",
    ),
    Question(
        "scaling",
        "Does adding workers help, and where does it stop?",
        scaling,
        command=f"{BENCH} --preset standard --arrival burst --workload cpu --workload io",
    ),
    Question(
        "fairness",
        "Do urgent tasks overtake, and does any task starve?",
        together(
            claimed("priority"),
            ranked(
                "inversions",
                "pairs in which a task of low priority overtook one of {shape:g} urgent ones",
                percent,
            ),
        ),
        command=f"{BENCH} --workload shapes",
    ),
    Question(
        "idle",
        "What do waiting workers cost: CPU, polling, connections?",
        waiting,
        command=f"{BENCH} --preset standard --workload idle",
    ),
    Question(
        "payload",
        "What do big payloads cost?",
        payloads,
        command=f"{BENCH} --preset standard --workload payloads",
    ),
    Question(
        "cold-start",
        "How long until a fresh worker does its first task?",
        cold_start,
        command=f"{BENCH} --workload noop",
    ),
    Question(
        "free-threads",
        "On a free-threaded Python, do threads beat processes?",
        free_threads,
        lack="a run on a free-threaded Python, for which there are no locks",
    ),
    Question(
        "retries",
        "Do retries run as promised?",
        together(
            claimed("retry"),
            ranked("retry_late_s_p50", "run again, later than after {shape:g} s", seconds),
        ),
        command=f"{BENCH} --workload shapes",
    ),
    Question(
        "fan-out",
        "What do fan-out and chords cost at scale?",
        together(
            ranked("group_s_p50", "groups of {shape:g}, from the call to their join", seconds),
            ranked("join_s_p50", "groups of {shape:g}, from the last task to their join", seconds),
            ranked("link_s_p50", "chains of {shape:g}, from link to link", seconds),
        ),
        command=f"{BENCH} --workload shapes",
    ),
    Question(
        "crontab",
        "Does django-crontab run at all in a container?",
        cron_in_a_container,
        command=f"{BENCH} --provider compose --backend django-crontab --workload periodic",
    ),
    Question(
        "threads",
        "Which of my workloads gain from threads under the GIL?",
        threads,
        command=f"{BENCH} --preset standard --workload cpu --workload io --backend inline "
        "--backend thread-pool",
    ),
)


def answers(tables: Tables) -> Sequence[Answered]:
    """Answer every question, in the order of its rank, or leave it without a sentence."""
    return [Answered(question, list(question.answer(tables))) for question in QUESTIONS]
