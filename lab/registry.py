"""Names to backends and workloads, by listing the packages and the entry points.

Nothing is registered by hand: a file in `lab/backends/` or `workloads/` is an entry, and so is
what an installed package declares under the entry point groups ``lab.backends`` (a `Backend`)
and ``lab.workloads`` (a module).
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import NamedTuple

import workloads as workload_package
from lab import backends as backend_package
from lab import own_task
from lab.backend import Backend, ceilings_of, services_of, settings_of
from lab.errors import MissingExtraError, UnknownNameError, UsageError
from lab.model import Job, Profile, Setup, Topology

BACKENDS, WORKLOADS = "lab.backends", "lab.workloads"
LABEL = re.compile(r"(?P<backend>[\w-]+)(\[(?P<variant>[^\]]+)\])?(@(?P<profile>[\w-]+))?")


@dataclass(frozen=True, slots=True)
class Workload:
    """A task function by name, the right answer, and how big a task is.

    `function` and `coroutine` are ``"module:attribute"`` names that any worker can import.
    """

    name: str
    summary: str
    function: str
    coroutine: str
    unit: str
    default_size: int


class Selected(NamedTuple):
    """A backend with the variant and the profile that a label names."""

    name: str
    backend: type[Backend]
    variant: str
    profile: str

    @property
    def label(self) -> str:
        """``backend[variant]@profile`` with every part said."""
        return f"{self.name}[{self.variant}]@{self.profile}"


@functools.cache
def backends() -> Mapping[str, type[Backend]]:
    """Return every backend by name, ours by file name and others by entry point name."""
    ours = {
        info.name.replace("_", "-"): f"{backend_package.__name__}.{info.name}"
        for info in pkgutil.iter_modules(backend_package.__path__)
    }
    found = {name: _adapter(importlib.import_module(module)) for name, module in ours.items()}
    for entry in importlib.metadata.entry_points(group=BACKENDS):
        found[entry.name] = entry.load()
    return MappingProxyType(dict(sorted(found.items())))


def _adapter(module: ModuleType) -> type[Backend]:
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Backend) and member.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise UsageError(f"{module.__name__} must define one Backend, and defines {len(classes)}.")
    return classes[0]


def select(label: str) -> Selected:
    """Resolve ``backend[variant]@profile``; what is left out is the backend's first.

    Raises:
        UnknownNameError: A part names nothing known.
        UsageError: The text is no label.
    """
    match = LABEL.fullmatch(label)
    if match is None:
        raise UsageError(f"{label!r} is no backend. Write backend[variant]@profile.")
    known = backends()
    name = match["backend"]
    if name not in known:
        raise UnknownNameError("backend", name, known)
    backend = known[name]
    variant = match["variant"] or backend.variants[0].name
    if variant not in (names := [v.name for v in backend.variants]):
        raise UnknownNameError(f"variant of {name}", variant, names)
    profile = match["profile"] or backend.profiles[0].name
    if profile not in (names := [p.name for p in profiles_of(backend, variant)]):
        raise UnknownNameError(f"profile of {name}[{variant}]", profile, names)
    return Selected(name, backend, variant, profile)


def ceiling(label: str) -> str:
    """Return the whole label of the reference that bounds a system; empty where none does."""
    chosen = select(label)
    named = ceilings_of(chosen.backend, chosen.variant)
    return select(named[0]).label if named else ""


def profiles_of(backend: type[Backend], variant: str) -> Sequence[Profile]:
    """Return the profiles that change something for a variant, `default` first."""
    return [p for p in backend.profiles if not p.variants or variant in p.variants]


def missing(packages: Iterable[str]) -> str | None:
    """Return the first of `packages` that is not installed."""
    return next((p for p in packages if importlib.util.find_spec(p) is None), None)


def missing_package(backend: type[Backend], variant: str) -> str | None:
    """Return the first package that a variant needs and that is not installed."""
    own = next(v.packages for v in backend.variants if v.name == variant)
    return missing((*backend.packages, *own))


def require(selected: Selected) -> None:
    """Raise MissingExtraError unless everything that the variant needs is importable."""
    name, backend, variant, _ = selected
    if package := missing_package(backend, variant):
        raise MissingExtraError(f"{name}[{variant}]", package, backend.extra)


def is_foreign(label: str, workload: str) -> bool:
    """Tell whether a trial runs a function of the user's, or code of another package."""
    tasks = workload_modules().get(workload, own_task)
    modules = [select(label).backend.__module__, tasks.__name__]
    ours = (f"{backend_package.__name__}.", f"{workload_package.__name__}.")
    return not all(module.startswith(ours) for module in modules)


def setup(
    selected: Selected,
    topology: Topology,
    endpoints: Mapping[str, str],
    jobs: tuple[Job, ...] = (),
    password: str = "",
) -> Setup:
    """Put together what the adapter is told."""
    settings = settings_of(selected.backend, selected.variant, selected.profile)
    return Setup(
        backend=selected.name,
        variant=selected.variant,
        profile=selected.profile,
        topology=topology,
        settings=settings,
        endpoints=endpoints,
        jobs=jobs,
        password=password,
    )


def has_own_workers(selected: Selected) -> bool:
    """Tell whether the system's workers are processes of their own, apart from the driver's."""
    servers = {str(name): "" for name in services_of(selected.backend, selected.variant)}
    return bool(selected.backend.node_commands(setup(selected, Topology(1, 1, 1), servers)))


def workload_modules() -> dict[str, ModuleType]:
    """Return every workload's module by name."""
    names = sorted(info.name for info in pkgutil.iter_modules(workload_package.__path__))
    found = {name: importlib.import_module(f"{workload_package.__name__}.{name}") for name in names}
    for entry in importlib.metadata.entry_points(group=WORKLOADS):
        found[entry.name] = entry.load()
    return found


def workload(name: str) -> tuple[Workload, ModuleType]:
    """Return one workload and its module, or what stands in for a function of the user's own."""
    known = workload_modules()
    if name in known:
        module = known[name]
    elif own_task.is_own(name):
        module = own_task.as_workload(name)
    else:
        raise UnknownNameError("workload", name, known)
    function = f"{module.__name__}:run"
    return (
        Workload(
            name, module.SUMMARY, function, f"{function}_async", module.UNIT, module.DEFAULT_SIZE
        ),
        module,
    )
