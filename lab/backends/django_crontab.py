"""django-crontab: each job a line of a crontab, each run a `manage.py` of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.backends import _django
from lab.core.backend import Backend
from lab.core.model import Capability, Command, Service, Setup, Variant
from lab.worker import execution

# Beside the ledger: what a line of a crontab needs to know, and what its runs print.
ENVIRONMENT, LOG = '"$LAB_LEDGER-cron.env"', '"$LAB_LEDGER-cron.log"'
# Jobs need no setup, and its password is to be in no file.
WRITE_ENVIRONMENT = f"export -p | grep -v '^export LAB_SETUP=' > {ENVIRONMENT}"
TOLD = ("CRONTAB_EXECUTABLE", "CRONTAB_LINE_PATTERN", "DJANGO_PROJECT_NAME", "LOCK_JOBS")


class DjangoCrontab(Backend):
    """Adds its jobs by `manage.py crontab add` to the crontab of the user, and takes no tasks.

    cron starts what is due at the full minute, on any CPU, and gives it hardly any environment: so
    each line reads a file of the trial first, and the comment at its end names the trial, by which
    it is found and removed. Lines are read in the machine's time zone.
    """

    family = "django-crontab"
    ceilings = ("deadline-loop",)
    summary = "django-crontab on the machine's cron"
    packages = ("django_crontab",)
    extra = "django-crontab"
    services = (Service.CRON,)
    finest_period_s = 60.0
    variants = (
        Variant(
            "cron",
            frozenset({Capability.SCHEDULE, Capability.PARALLEL}),
            "CRONJOBS, added by `manage.py crontab add`; each run is a `manage.py crontab run` "
            "(django-crontab's README, Setup).",
        ),
    )

    def start(self) -> None:
        """Set Django up in this process, which has nothing to do with any run."""
        _django.use(_django_settings(self.setup))

    def stop(self) -> None:
        """Do nothing: the lines are the cluster's, which removes them."""

    def effective_settings(self) -> Mapping[str, Any]:
        """Return django-crontab's settings in force, but for the paths of the trial."""
        from django.conf import settings
        from django_crontab.app_settings import Settings

        return {name: getattr(Settings(settings), name) for name in TOLD}

    @classmethod
    def preparation(cls, setup: Setup) -> Sequence[Command]:
        """Write down the environment that runs are to have, and add the lines."""
        write = Command(("sh", "-c", WRITE_ENVIRONMENT))
        return write, Command((*_django.MANAGE, "crontab", "add"))

    @classmethod
    def worker_environment(cls, setup: Setup) -> Mapping[str, str]:
        """Return what makes `manage.py` find the project and the jobs."""
        return _django.environment(_django_settings(setup))


def _django_settings(setup: Setup) -> dict[str, Any]:
    jobs = setup.jobs
    return {
        "INSTALLED_APPS": ["django_crontab"],
        "CRONJOBS": [
            (job.cron, f"{execution.__name__}.execute", (job.id, job.function, job.argument))
            for job in jobs
        ],
        "CRONTAB_DJANGO_PROJECT_NAME": _django.__name__,
        "CRONTAB_EXECUTABLE": setup.endpoints[Service.CRON],
        "CRONTAB_COMMAND_PREFIX": f". {ENVIRONMENT} &&",
        "CRONTAB_COMMAND_SUFFIX": f">> {LOG} 2>&1",
        "CRONTAB_COMMENT": "LAB_OWNER=$LAB_OWNER LAB_TRIAL=$LAB_TRIAL",
    }
