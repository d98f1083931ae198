"""Schedules jobs with django-crontab: one crontab line per job, one `manage.py` per firing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.backends import _django
from lab.backends._django.backend import ProjectBackend
from lab.core.model import BackendContext, Capability, Command, Service, Variant
from lab.core.outcomes import Contract
from lab.worker import execution

# Files in the ledger's folder: the environment for the crontab lines, and the output of firings.
ENVIRONMENT, LOG = '"$LAB_LEDGER-cron.env"', '"$LAB_LEDGER-cron.log"'
# Without LAB_SETUP, which jobs do not need: its password must not be in a file.
WRITE_ENVIRONMENT = f"export -p | grep -v '^export LAB_SETUP=' > {ENVIRONMENT}"
REPORTED = ("CRONTAB_EXECUTABLE", "CRONTAB_LINE_PATTERN", "DJANGO_PROJECT_NAME", "LOCK_JOBS")


class DjangoCrontab(ProjectBackend):
    """Adds jobs to the user's crontab with `manage.py crontab add`; it accepts no tasks.

    cron starts due jobs at the full minute, on any CPU, with a minimal environment. Therefore each
    line first reads a file of the trial. The comment at its end names the trial, so that the lab
    can find and remove the line. cron interprets lines in the machine's time zone.
    """

    family = "django-crontab"
    references = ("deadline-loop",)
    summary = "django-crontab on the machine's cron"
    packages = ("django", "django_crontab")
    extra = "django-crontab"
    services = (Service.CRON,)
    finest_period_s = 60.0
    variants = (
        Variant(
            "cron",
            frozenset({Capability.SCHEDULE, Capability.PARALLEL}),
            "CRONJOBS, added by `manage.py crontab add`; each firing is a `manage.py crontab run` "
            "(django-crontab's README, Setup).",
            contract=Contract.SCHEDULER,
        ),
    )

    def effective_settings(self) -> Mapping[str, Any]:
        """Return django-crontab's effective settings, without the paths of the trial."""
        from django.conf import settings
        from django_crontab.app_settings import Settings

        return {name: getattr(Settings(settings), name) for name in REPORTED}

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the commands that save the environment for firings, and add the lines."""
        write = Command(("sh", "-c", WRITE_ENVIRONMENT))
        return write, Command((*_django.MANAGE, "crontab", "add"))

    @classmethod
    def project(cls, setup: BackendContext) -> Mapping[str, Any]:
        """Return the jobs, and the lines that start them (README, Installation and setup)."""
        jobs = setup.jobs
        return {
            "INSTALLED_APPS": ["django_crontab"],
            "CRONJOBS": [
                (job.cron, f"{execution.__name__}.execute", job.arguments) for job in jobs
            ],
            # django-crontab looks for `manage.py` in this package; its default would be `lab`.
            "CRONTAB_DJANGO_PROJECT_NAME": _django.__name__,
            "CRONTAB_EXECUTABLE": setup.endpoints[Service.CRON],
            # The project's settings expand the variables when lines are added: cron sets none of
            # them. `.` and not `source`, because cron runs lines with /bin/sh (crontab(5)).
            "CRONTAB_COMMAND_PREFIX": f". {ENVIRONMENT} &&",
            "CRONTAB_COMMAND_SUFFIX": f">> {LOG} 2>&1",
            "CRONTAB_COMMENT": "LAB_OWNER=$LAB_OWNER LAB_TRIAL=$LAB_TRIAL",
        }
