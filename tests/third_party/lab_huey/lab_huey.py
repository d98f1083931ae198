"""huey on Redis: its consumer with processes or threads."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lab.plugin import (
    DEFAULT,
    Backend,
    BackendContext,
    Capability,
    Command,
    Contract,
    Profile,
    Service,
    Task,
    Variant,
    execute,
    in_time,
    on_demand,
)

CAPABILITIES = frozenset(
    {Capability.SUBMIT, Capability.RESULT, Capability.NODES, Capability.PARALLEL}
)
WORKER_TYPE, NOTIFY = "worker_type", "notify_result"


def _variant(worker_type: str) -> Variant:
    about = f"`huey_consumer -k {worker_type}` (huey docs, Consuming Tasks, Options)."
    settings = {WORKER_TYPE: worker_type}
    return Variant(worker_type, CAPABILITIES, about, settings, contract=Contract.AT_MOST_ONCE)


class Huey(Backend):
    """Calls a task of huey for each task of the lab; one consumer a node."""

    family = "our-huey"
    summary = "huey on Redis"
    packages = ("huey", "redis")
    services = (Service.REDIS,)
    variants = (_variant("thread"), _variant("process"))
    profiles = (
        DEFAULT,
        Profile(
            "tuned",
            {NOTIFY: True},
            "notify_result: low-latency result fetching, for RedisHuey (huey release notes, 3.0).",
        ),
    )

    def start(self) -> None:
        """Make the client; it connects with the first task."""
        self._huey = _make_huey(self.setup)
        self._execute = self._huey.task()(execute)

    def submit(self, task: Task) -> Any:
        """Call the task, which enqueues it, and return its `Result`."""
        return self._execute(*task.arguments)

    def result(self, handle: Any, timeout_s: float) -> Any:
        """Wait for the `Result` (huey docs, Guide, Getting the Result)."""
        from huey.exceptions import ResultTimeout

        with in_time(timeout_s, ResultTimeout):
            return handle.get(blocking=True, timeout=timeout_s)

    def stop(self) -> None:
        """Close the client's connections."""
        self._huey.storage.pool.disconnect()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return what the client and its storage are set to, and the size of a node's pool."""
        client = {name: getattr(self._huey, name) for name in ("results", "utc", "immediate")}
        stored = {name: getattr(self._huey.storage, name) for name in ("blocking", "read_timeout")}
        fixed = {NOTIFY: False, "workers": self.setup.topology.workers_per_node}
        return {**client, **stored, **fixed, **self.setup.settings}

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the one consumer of a node."""
        slots = setup.topology.workers_per_node
        argv = [sys.executable, "-m", "huey.bin.huey_consumer", f"{__name__}.huey"]
        argv += ["-k", setup.settings[WORKER_TYPE], "-w", str(slots)]
        return [Command(tuple(argv), slots)]


def _make_huey(setup: BackendContext) -> Any:
    import redis
    from huey import RedisHuey

    pool = redis.ConnectionPool.from_url(setup.endpoints[Service.REDIS], socket_timeout=None)
    return RedisHuey("lab", connection_pool=pool, notify_result=setup.settings.get(NOTIFY, False))


def _make_worker(setup: BackendContext) -> Any:
    app = _make_huey(setup)
    app.task()(execute)
    return app


__getattr__ = on_demand(__name__, huey=_make_worker)
