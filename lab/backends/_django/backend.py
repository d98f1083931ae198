"""Shares the code of backends whose tasks or jobs belong to the Django project."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from lab.backends import _django
from lab.core.backend import Backend
from lab.core.model import BackendContext, Command


class ProjectBackend(Backend):
    """Sets up the Django project in the driver, and passes its settings to all commands."""

    @classmethod
    @abstractmethod
    def project(cls, setup: BackendContext) -> Mapping[str, Any]:
        """Return the settings that replace or extend those of the project."""

    def start(self) -> None:
        """Set up Django in this process."""
        _django.use(self.project(self.setup))

    def stop(self) -> None:
        """Close this process's connections to the database."""
        from django.db import connections

        connections.close_all()

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the command that creates the tables."""
        return [Command((*_django.MANAGE, "migrate"))]

    @classmethod
    def worker_environment(cls, setup: BackendContext) -> Mapping[str, str]:
        """Return the variables with which `manage.py` uses the project."""
        return _django.environment(cls.project(setup))
