"""Lists the headline metrics, which `lab compare` compares and its help names."""

# One metric per question of a user; the other metrics repeat these or explain them.
HEADLINES = (
    "worker_s_per_task",
    "queue_latency_s_p50",
    "queue_latency_s_p99",
    "round_trip_s_p50",
    "cpu_driver_s_per_task",
    "cpu_services_s_per_task",
    "cpu_workers_s_per_task",
)
