"""Lists the headline metrics, which `lab compare` compares and its help explains."""

from collections.abc import Mapping

# One metric per question of a user; the other metrics repeat these or explain them.
MEANINGS: Mapping[str, str] = {
    "worker_s_per_task": "time that a worker slot needs for a task, in a burst",
    "queue_latency_s_p50": "median wait of paced tasks, from due to started",
    "queue_latency_s_p99": "99th percentile of that wait; needs 662 tasks a trial",
    "round_trip_s_p50": "median of submit to result, one task at a time",
    "cpu_driver_s_per_task": "CPU time per task of the submitting process",
    "cpu_services_s_per_task": "CPU time per task of the servers, such as Redis",
    "cpu_workers_s_per_task": "CPU time per task of the workers",
}
HEADLINES = tuple(MEANINGS)
