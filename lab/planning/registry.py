"""Finds backends and workloads by name, in the lab's packages and in entry points.

Each file in `lab/backends/` and `workloads/` is an entry, and so is each entry point of an
installed package in the groups ``lab.backends`` (a `Backend`) and ``lab.workloads`` (a module).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple, cast

import workloads as workload_package
from lab import backends as backend_package
from lab.core.backend import Backend, references_of, services_of, settings_of, variant_of
from lab.core.environment import Environment
from lab.core.errors import MissingExtraError, UnknownNameError, UsageError
from lab.core.model import BackendContext, Job, Profile, Service, Topology
from lab.planning import contracts, entry_points
from lab.planning.entry_points import UnusableEntry, UnusableEntryError
from lab.planning.presets import EXPERIMENTS
from lab.worker import user_function

BACKEND, WORKLOAD = "backend", "workload"
ALL = "all"
# For each kind: the entry point group, the package of built-ins, and reserved names.
GROUPS_OF: Mapping[str, tuple[str, ModuleType, Collection[str]]] = {
    # `--backend all` selects all of them.
    BACKEND: ("lab.backends", backend_package, (ALL,)),
    # `--workload NAME` selects a group too, so a workload with its name could not be selected.
    WORKLOAD: ("lab.workloads", workload_package, EXPERIMENTS),
}
CHECKS: Mapping[str, Callable[[object], object]] = {
    BACKEND: contracts.adapter,
    WORKLOAD: contracts.task_module,
}
LABEL = re.compile(
    r"(?P<backend>[\w-]+)(\[(?P<variant>[\w+.-]+)\])?(@(?P<profile>[\w-]+))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload: its task function and the size of its tasks.

    function, coroutine: ``"module:attribute"`` names that any worker can import.
    unit: unit of the size; empty if tasks have no size.
    """

    name: str
    summary: str
    function: str
    coroutine: str
    unit: str
    default_size: int


class SelectedBackend(NamedTuple):
    """A backend with the variant and the profile that a label names."""

    name: str
    backend: type[Backend]
    variant: str
    profile: str

    @property
    def label(self) -> str:
        """The full label, ``backend[variant]@profile``."""
        return f"{self.name}[{self.variant}]@{self.profile}"


@functools.cache
def _declared(kind: str) -> tuple[Mapping[str, entry_points.Loader], Sequence[UnusableEntry]]:
    """Return the loaders by name, and the entry points whose name is taken or reserved."""
    group, package, reserved = GROUPS_OF[kind]
    built_in: dict[str, entry_points.Loader] = {
        info.name.replace("_", "-") if kind == BACKEND else info.name: functools.partial(
            importlib.import_module, f"{package.__name__}.{info.name}"
        )
        for info in pkgutil.iter_modules(package.__path__)
        if not info.name.startswith("_")  # shared by several adapters
    }
    others, left_out = entry_points.declared(group, kind, {*built_in, *reserved})
    return dict(sorted({**built_in, **others}.items())), left_out


@functools.cache
def _loaded(kind: str, name: str) -> Any:
    """Import one entry, once.

    Raises:
        UnknownNameError: There is no such entry.
        UnusableEntryError: It cannot be imported, or is not a valid backend or workload.
    """
    # Only this entry is imported: another one that breaks, or is slow, must not affect it.
    known, left_out = _declared(kind)
    if name in known:
        return CHECKS[kind](entry_points.load(known[name]))
    if refused := next((entry for entry in left_out if entry.name == name), None):
        raise UnusableEntryError(refused.reason)
    raise UnknownNameError(kind, name, known)


def _usable(kind: str) -> dict[str, Any]:
    usable = {}
    for name in _declared(kind)[0]:
        # `left_out` returns those with reasons; one broken package must not hide the others.
        with contextlib.suppress(UnusableEntryError):
            usable[name] = _loaded(kind, name)
    return usable


def refresh() -> None:
    """Forget the entries, so that changes of the installed packages take effect."""
    for cache in (_declared, _loaded, backends):
        cache.cache_clear()


def left_out() -> list[UnusableEntry]:
    """Import every entry, and return those that cannot be used, with reasons."""
    unusable: list[UnusableEntry] = []
    for kind in GROUPS_OF:
        known, refused = _declared(kind)
        unusable += refused
        for name in known:
            try:
                _loaded(kind, name)
            except UnusableEntryError as error:
                unusable.append(UnusableEntry(kind, name, str(error)))
    return unusable


@functools.cache
def backends() -> Mapping[str, type[Backend]]:
    """Return every usable backend by the name of its file or entry point."""
    # Read-only, because the cache returns the same mapping to every caller.
    return MappingProxyType(_usable(BACKEND))


def backend(name: str) -> type[Backend]:
    """Return one backend, without importing others.

    Raises:
        UnknownNameError: There is no such backend.
        UsageError: It cannot be used; the message has the reason.
    """
    return cast("type[Backend]", _named(BACKEND, name))


def _named(kind: str, name: str) -> Any:
    try:
        return _loaded(kind, name)
    except UnusableEntryError as error:
        raise UsageError(f"{kind.capitalize()} {name!r} is not available: {error}.") from error


def select(label: str) -> SelectedBackend:
    """Resolve ``backend[variant]@profile``; a missing part means the backend's first.

    Raises:
        UnknownNameError: A part is unknown.
        UsageError: The text is not a label.
    """
    match = LABEL.fullmatch(label)
    if match is None:
        raise UsageError(f"{label!r} is not a backend. Write backend[variant]@profile.")
    name = match["backend"]
    chosen = backend(name)
    variant = match["variant"] or chosen.variants[0].name
    if variant not in (names := [v.name for v in chosen.variants]):
        raise UnknownNameError(f"variant of {name}", variant, names)
    profile = match["profile"] or chosen.profiles[0].name
    if profile not in (names := [p.name for p in profiles_of(chosen, variant)]):
        raise UnknownNameError(f"profile of {name}[{variant}]", profile, names)
    return SelectedBackend(name, chosen, variant, profile)


def reference(label: str) -> str:
    """Return the full label of a backend's first reference; empty if it has none."""
    chosen = select(label)
    references = references_of(chosen.backend, chosen.variant)
    return select(references[0]).label if references else ""


def profiles_of(backend: type[Backend], variant: str) -> Sequence[Profile]:
    """Return the profiles that apply to a variant, `default` first."""
    return [p for p in backend.profiles if not p.variants or variant in p.variants]


def missing(packages: Iterable[str]) -> str | None:
    """Return the first of `packages` that is not installed; None if all are."""
    # Not by an import, which would run the package's code and take its time.
    return next((p for p in packages if importlib.util.find_spec(p) is None), None)


def missing_package(backend: type[Backend], variant: str) -> str | None:
    """Return the first missing package of a backend and its variant; None if there is none."""
    of_variant = variant_of(backend, variant).packages
    return missing((*backend.packages, *of_variant))


def needed_python(backend: type[Backend], environment: str = "") -> str:
    """Return the oldest Python of a backend if that of an environment is older; empty if not."""
    if Environment.parse(environment).version >= backend.python:
        return ""
    return ".".join(map(str, backend.python))


def require(selected: SelectedBackend) -> None:
    """Raise MissingExtraError unless all packages of the backend and its variant are installed."""
    name, backend, variant, _ = selected
    if package := missing_package(backend, variant):
        raise MissingExtraError(f"{name}[{variant}]", package, backend.extra)


def is_foreign(label: str, workload: str) -> bool:
    """Return whether a trial runs a user's function, or code of another package."""
    tasks = workload_modules().get(workload, user_function)
    modules = [select(label).backend.__module__, tasks.__name__]
    ours = (f"{backend_package.__name__}.", f"{workload_package.__name__}.")
    return not all(module.startswith(ours) for module in modules)


def setup(
    selected: SelectedBackend,
    topology: Topology,
    endpoints: Mapping[str, str],
    jobs: tuple[Job, ...] = (),
    password: str = "",
) -> BackendContext:
    """Return the context of an adapter: its variant, settings, topology and endpoints."""
    settings = settings_of(selected.backend, selected.variant, selected.profile)
    return BackendContext(
        backend=selected.name,
        variant=selected.variant,
        profile=selected.profile,
        topology=topology,
        settings=settings,
        endpoints=endpoints,
        jobs=jobs,
        password=password,
    )


def has_worker_processes(selected: SelectedBackend) -> bool:
    """Return whether the backend has worker processes that the driver does not start."""
    servers = {str(name): "" for name in services_of(selected.backend, selected.variant)}
    # From the commands and not from the servers: a system without a server may have workers, too.
    return bool(selected.backend.node_commands(setup(selected, Topology(1, 1, 1), servers)))


def has_scheduler_process(selected: SelectedBackend) -> bool:
    """Return whether a process that the driver does not start starts the backend's jobs."""
    servers = {str(name): "" for name in services_of(selected.backend, selected.variant)}
    context = setup(selected, Topology(1, 1, 1), servers)
    commands = selected.backend.scheduler_commands(context)
    return bool(commands) or selected.backend.schedules_in_workers or Service.CRON in servers


def workload_modules() -> dict[str, ModuleType]:
    """Return every usable workload's module by name."""
    return _usable(WORKLOAD)


def workload_names() -> frozenset[str]:
    """Return the names of all registered workloads, without importing them."""
    return frozenset(_declared(WORKLOAD)[0])


def workload(name: str) -> tuple[Workload, ModuleType]:
    """Return one workload and its module; for a user's function `user_function` creates one.

    The caller passes names from files through `consent.check` before it makes tasks.

    Raises:
        UnknownNameError: There is no such workload.
        UsageError: It cannot be used; the message has the reason.
    """
    module = (
        user_function.as_workload(name)
        if user_function.is_user_function(name)
        else _named(WORKLOAD, name)
    )
    function = f"{module.__name__}:run"
    return (
        Workload(
            name, module.SUMMARY, function, f"{function}_async", module.UNIT, module.DEFAULT_SIZE
        ),
        module,
    )
