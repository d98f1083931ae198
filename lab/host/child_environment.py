"""The environment of every process that the lab starts: names on a list, and nothing else.

What lies in a user's shell is meant for his other programs. ``CELERY_BROKER_URL`` would lead a
worker to another project's server, ``OMP_NUM_THREADS``, ``MALLOC_ARENA_MAX`` or ``LD_PRELOAD``
would change a rate that nobody can explain later, and a tracer's variables would slow down one
system and not the next. Such a variable is passed on only where ``--pass-env`` names it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lab.core.errors import UsageError

# Where programs, shared libraries and temporary files are; language, time zone, and home.
PROCESS = ("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "TZ", "LANG", "LANGUAGE")
LOCALE = "LC_"
PROXIES = (
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
)
# Of the engine's client: which engine, how to get there, and what compose.yaml reads of limits.
ENGINE = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_API_VERSION"),
    *("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "SSH_AUTH_SOCK"),
    *("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "BUILDX_BUILDER", "BUILDX_CONFIG"),
    *("LAB_DRIVER_MEMORY", "LAB_NODE_MEMORY", "LAB_SERVICES_MEMORY", "LAB_LEDGER_SIZE"),
    *PROXIES,
)
# What a download needs to believe the other side.
DOWNLOAD = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "APT_CONFIG"),
    *PROXIES,
)
IMPORT_PATH = "PYTHONPATH"
# No process finds modules where it happens to be started.
SAFE_PATH = {"PYTHONSAFEPATH": "1"}
# What the lab sets itself, in all processes or in those of some systems.
OURS = re.compile(
    rf"LAB_\w*|DASK_DISTRIBUTED__\w*|DJANGO_SETTINGS_MODULE|{IMPORT_PATH}|PYTHONSAFEPATH"
    "|PYTHONHASHSEED|PYTHONHOME|PWD"
)
# What the measured systems and their clients read. It would lead them to a server of others, or
# change one of them and not the next; a user's function can read it under another name.
SYSTEMS = re.compile(
    r"_{0,2}(CELERY|C|KOMBU|BROKER|RQ|DASK|DJANGO|FLOWER|JOBLIB|LOKY|GEVENT|GEVENTARES|EVENTLET"
    r"|PSYCOPG|MP|SLMQ)_\w+|PG[A-Z]+"
    "|APP|RESULT_BACKEND|LOADER|CONFIG_MODULE|SKIP_CHECKS|DISABLE_IPV6|KMP_INIT_AT_FORK"
    "|MULTIPROCESSING_FORKING_DISABLE|FORKED_BY_MULTIPROCESSING|PICKLE_PROTOCOL|Q_CLUSTER_NAME"
    "|REMAP_SIGTERM|PUBSUB_EMULATOR_HOST|PROMETHEUS_MULTIPROC_DIR"
)
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
ROOT = Path(__file__).resolve().parents[2]


def of_process() -> dict[str, str]:
    """Return the environment of a process of the lab: the list, and the way to the lab's code."""
    locale = {name: value for name, value in os.environ.items() if name.startswith(LOCALE)}
    return _named(PROCESS) | locale | SAFE_PATH | _import_path(())


def of_engine() -> dict[str, str]:
    """Return the environment of a client of the container engine."""
    return of_process() | _named(ENGINE)


def of_download() -> dict[str, str]:
    """Return the environment of a program that makes an image, or tells where from."""
    return of_engine() | _named(DOWNLOAD)


def of_lab() -> dict[str, str]:
    """Return the environment of a lab of another commit, which may pass on all that it is given."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("LAB_")}
    return of_engine() | ours


def with_users_code() -> dict[str, str]:
    """Return what lets a process import a user's modules, after all others, and read his files.

    Modules lie in the current folder and in the entries of his PYTHONPATH.
    """
    return {"PWD": str(Path.cwd())} | _import_path(users_folders())


def users_folders() -> tuple[Path, ...]:
    """Return the current folder, and the folders of the user's PYTHONPATH."""
    entries = filter(None, os.environ.get(IMPORT_PATH, "").split(os.pathsep))
    return tuple(dict.fromkeys([Path.cwd(), *(Path(entry).absolute() for entry in entries)]))


def passed(names: Iterable[str]) -> dict[str, str]:
    """Return the variables that ``--pass-env`` names, with their values.

    Raises:
        UsageError: One is not set, is no name of a variable, or is a setting of the lab or of a
            measured system.
    """
    found = {}
    for name in names:
        if not NAME.fullmatch(name):
            raise UsageError(f"--pass-env {name!r} is no name of a variable, such as API_URL.")
        if OURS.fullmatch(name) or name in PROCESS or name.startswith(LOCALE):
            raise UsageError(f"--pass-env {name}: the lab sets or passes it itself; leave it out.")
        if SYSTEMS.fullmatch(name):
            raise UsageError(
                f"--pass-env {name}: a measured system reads it as its setting; give your function "
                "its value by another name."
            )
        if name not in os.environ:
            raise UsageError(f"--pass-env {name}: it is not set. Run: export {name}=VALUE")
        found[name] = os.environ[name]
    return found


def _named(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _import_path(last: Iterable[Path]) -> dict[str, str]:
    """Return where modules are found beyond the interpreter's own folders, if anywhere.

    Python puts PYTHONPATH before the standard library. Naming its own folders there as well brings
    them to the front, for it removes what comes twice; nothing else has this effect in each
    process, also in one that a system starts itself.
    """
    before = [] if str(ROOT) in own_path() else [str(ROOT)]
    behind = [str(folder) for folder in last if str(folder) not in own_path()]
    path = [*before, *(own_path() if behind else ()), *behind]
    return {IMPORT_PATH: os.pathsep.join(path)} if path else {}


@cache
def own_path() -> tuple[str, ...]:
    """Return where this interpreter looks for modules by itself, in its order."""
    tell = "import json, sys; print(json.dumps(sys.path))"
    command, env = [sys.executable, "-c", tell], _named(PROCESS) | SAFE_PATH
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))
