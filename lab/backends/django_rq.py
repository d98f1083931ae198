"""Runs tasks with Django-RQ: RQ with its queues in Django's settings, and `manage.py` workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.backends import _django, _rq
from lab.core.backend import DEFAULT
from lab.core.model import BackendContext, Capability, Command, Profile, Service
from lab.core.monitor import Monitor

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue


class DjangoRq(_rq.RqJobs):
    """Uses RQ through Django: the queue of `django_rq.get_queue`, and commands of `manage.py`."""

    summary = "Django-RQ on Redis"
    packages = ("django", "django_rq", "rq", "redis")
    extra = "django-rq"
    module = _django.MANAGE[-1]
    variants = (
        _rq.variant(
            "worker",
            "`manage.py rqworker`: forks a work-horse for each job (Django-RQ's README, Running "
            "workers).",
            {"command": "rqworker"},
            Capability.MONITOR,
        ),
        _rq.variant(
            "worker-pool",
            "`manage.py rqworker-pool --num-workers N`: one command per node, which forks its "
            "workers (Django-RQ's README, Running workers).",
            {"command": "rqworker-pool"},
            Capability.MONITOR,
        ),
    )
    profiles = (
        DEFAULT,
        _rq.safe(
            ("worker",),
            f"{_rq.WORKER_TTL_WHY}. Maintenance runs every 600 s, for which `rqworker` has no "
            "option: at most 615 s after the expiry of the heartbeat.",
            worker_ttl=30,
        ),
        _rq.SAFE_POOL,
        Profile("tuned", {"preload": True}, _rq.PRELOAD_WHY),
    )

    def queue(self, connection: Redis) -> Queue:
        """Set up Django and get its queue once, because `django_rq.enqueue` connects per job."""
        _django.use(_settings(self.setup))
        import django_rq

        # With the client's connection, whose reads never time out; workers keep redis-py's default.
        queue: Queue = django_rq.get_queue(_rq.QUEUE, connection=connection)
        return queue

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the settings of RQ, and Django-RQ's commit mode."""
        from django_rq.queues import get_commit_mode

        return {**super().effective_settings(), "commit_mode": get_commit_mode()}

    @classmethod
    def arguments(cls, setup: BackendContext) -> Sequence[str]:
        """Return the name of the queue; Django's settings have its address."""
        return [_rq.QUEUE]

    @classmethod
    def scheduler_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return `manage.py rqcron` (README, Support for RQ's CronScheduler)."""
        return [Command((*_django.MANAGE, "rqcron", _rq.CRON))]

    @classmethod
    def monitor(cls, setup: BackendContext) -> Monitor:
        """Return the statistics of Django-RQ's pages (README, Queue Statistics)."""
        return Monitor(
            # Not PAGES: the statistics need no user, only the token of the request.
            _django.SERVER,
            path="/django-rq/stats.json",
            word=f'"workers": {setup.topology.workers}',
            headers=_django.credentials(setup.password),
        )

    @classmethod
    def worker_environment(cls, setup: BackendContext) -> Mapping[str, str]:
        """Return the variables for the Django project and its settings."""
        return _django.environment(_settings(setup))


def _settings(setup: BackendContext) -> dict[str, Any]:
    queues = {_rq.QUEUE: {"URL": setup.endpoints[Service.REDIS]}}
    return {
        "INSTALLED_APPS": ["django_rq"],
        "RQ_QUEUES": queues,
        "RQ_API_TOKEN": setup.password,
    }
