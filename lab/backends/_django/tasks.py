"""Declares the tasks of Django's tasks framework, which sends the path of a module's attribute."""

from __future__ import annotations

from typing import Any

from lab.worker import execution

try:
    from django.tasks import task
    from django.tasks.exceptions import TaskResultDoesNotExist
except ModuleNotFoundError:  # before Django 6: its backport
    from django_tasks import task
    from django_tasks.exceptions import TaskResultDoesNotExist

__all__ = ["TaskResultDoesNotExist", "execute", "execute_async"]


@task  # type: ignore[untyped-decorator]
def execute(task_id: int, function: str, argument: Any) -> Any:
    """Run a function of the lab."""
    return execution.execute(task_id, function, argument)


@task  # type: ignore[untyped-decorator]
async def execute_async(task_id: int, function: str, argument: Any) -> Any:
    """Run a coroutine function of the lab."""
    return await execution.execute_async(task_id, function, argument)
