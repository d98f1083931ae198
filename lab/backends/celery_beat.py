"""Schedules jobs with Celery beat on Redis: from the app's settings, or from django-celery-beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.backends import _celery, _django
from lab.core.backend import Backend
from lab.core.model import BackendContext, Capability, Command, Job, Service, Variant
from lab.core.outcomes import Contract

PROMISED = frozenset({Capability.SCHEDULE, Capability.NODES, Capability.PARALLEL})
WORKERS = {"worker_pool": "prefork", "broker_url": Service.REDIS.value}
DYNAMIC = "django_celery_beat.schedulers:DatabaseScheduler"
DJANGO = {"INSTALLED_APPS": ["django_celery_beat"]}
CRON_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class CeleryBeat(Backend):
    """Runs `celery beat`, which sends each job when it is due, and one `celery worker` per node.

    The backend `celery` runs tasks without a schedule.
    """

    family = "celery"
    references = ("deadline-loop",)
    summary = "Celery beat on Redis: jobs from its settings, or from a database"
    packages = ("celery", "redis")
    extra = "celery"
    services = (Service.REDIS,)
    variants = (
        Variant(
            "static",
            PROMISED,
            "`celery beat` with jobs in `beat_schedule` (Celery docs, Periodic Tasks, Entries).",
            {**WORKERS, "beat_scheduler": _celery.STATIC},
            contract=Contract.SCHEDULER,
        ),
        Variant(
            "django",
            PROMISED | {Capability.RESCHEDULE},
            f"`celery beat --scheduler {DYNAMIC}` with jobs in SQLite, created with its models "
            "(django-celery-beat, README).",
            {**WORKERS, "beat_scheduler": DYNAMIC},
            packages=("django", "django_celery_beat"),
            contract=Contract.SCHEDULER,
        ),
    )

    def start(self) -> None:
        """Create the app; set up Django if it stores the jobs."""
        if self._has_django(self.setup):
            _django.use(DJANGO)
        self._app = _celery.make(self.setup)

    def schedule(self, job: Job) -> Any:
        """Save the job as a `PeriodicTask`, which beat reads within 5 s, and return it."""
        from django_celery_beat.models import PeriodicTask
        from kombu.utils.json import dumps

        # Beat reads it with Kombu's `loads`, which restores types that plain JSON does not have.
        arguments = dumps([*job.arguments])  # type: ignore[no-untyped-call]
        return PeriodicTask.objects.create(
            name=f"job {job.id}", task=_celery.EXECUTE, args=arguments, **_when(job)
        )

    def reschedule(self, handle: Any, job: Job) -> Any:
        """Save it with another schedule, which beat reads within 5 s (README, Example)."""
        # A `PeriodicTask` must have exactly one kind of schedule, so the other field is cleared.
        for field, value in {"interval": None, "crontab": None, **_when(job)}.items():
            setattr(handle, field, value)
        handle.save()
        return handle

    def unschedule(self, handle: Any) -> None:
        """Delete the `PeriodicTask`."""
        handle.delete()

    def stop(self) -> None:
        """Close the app and its database connections."""
        self._app.close()
        if self._has_django(self.setup):
            from django.db import connections

            connections.close_all()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the effective settings, including defaults."""
        return _celery.settings_in_force(self._app, self.setup)

    @classmethod
    def redelivery_horizon_s(
        cls, settings: Mapping[str, Any], *, is_started: bool = False
    ) -> float | None:
        """Return the visibility timeout of Redis, for firings that have not started."""
        return _celery.horizon_s(settings, is_started=is_started)

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the single `celery worker` of a node."""
        return _celery.workers(setup)

    @classmethod
    def scheduler_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return `celery beat`, of which only one may run."""
        scheduler = ("--scheduler", DYNAMIC) if cls._has_django(setup) else ()
        return [Command((*_celery.CELERY, "beat", *scheduler))]

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return `manage.py migrate`, which creates the tables of jobs."""
        return [Command((*_django.MANAGE, "migrate"))] if cls._has_django(setup) else []

    @classmethod
    def worker_environment(cls, setup: BackendContext) -> Mapping[str, str]:
        """Return the variables for worker and beat (Celery docs, First steps with Django)."""
        return _django.environment(DJANGO) if cls._has_django(setup) else {}

    @staticmethod
    def _has_django(setup: BackendContext) -> bool:
        return bool(setup.settings["beat_scheduler"] == DYNAMIC)


def _when(job: Job) -> dict[str, Any]:
    from django_celery_beat.models import CrontabSchedule, IntervalSchedule

    if job.cron:
        fields = dict(zip(CRON_FIELDS, job.cron.split(), strict=True))
        # Jobs share the rows of equal schedules, as in the README (Example).
        return {"crontab": CrontabSchedule.objects.get_or_create(**fields, timezone="UTC")[0]}
    # `every` is an integer, so only the smallest unit represents fractions of a second.
    every = {"every": round(job.every_s * 1e6), "period": IntervalSchedule.MICROSECONDS}
    return {"interval": IntervalSchedule.objects.get_or_create(**every)[0]}
