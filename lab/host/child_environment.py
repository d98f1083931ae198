"""Builds the environment of each process that the lab starts: a fixed list of variables.

Other variables of the user's shell are for other programs. ``CELERY_BROKER_URL`` would lead a
worker to the server of another project; ``OMP_NUM_THREADS``, ``MALLOC_ARENA_MAX`` or ``LD_PRELOAD``
would change a rate without a trace in the results; a tracer's variables would slow down some
backends and not others. ``--pass-env`` passes such a variable to driver and workers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lab.core.errors import UsageError

# Folders of programs, shared libraries and temporary files; language, time zone, and home.
PROCESS = ("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "TZ", "LANG", "LANGUAGE")
LOCALE = "LC_"
PROXIES = (
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
)
# For the engine's client: address of the engine, proxies, and the limits that compose.yaml reads.
ENGINE = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_API_VERSION"),
    *("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "SSH_AUTH_SOCK"),
    *("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "BUILDX_BUILDER", "BUILDX_CONFIG"),
    *("LAB_DRIVER_MEMORY", "LAB_NODE_MEMORY", "LAB_SERVICES_MEMORY", "LAB_LEDGER_SIZE"),
    *("LAB_ENGINES", "LAB_REGISTRY"),
    *PROXIES,
)
# For downloads: certificates.
DOWNLOAD = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "APT_CONFIG"),
    *PROXIES,
)
IMPORT_PATH = "PYTHONPATH"
# No process imports modules from its current folder.
SAFE_PATH = {"PYTHONSAFEPATH": "1"}
# Variables that the lab sets, in all processes or in those of some backends.
OURS = re.compile(
    rf"LAB_\w*|DASK_DISTRIBUTED__\w*|DJANGO_SETTINGS_MODULE|{IMPORT_PATH}|PYTHONSAFEPATH"
    "|PYTHONHASHSEED|PYTHONHOME|PWD"
)
# Variables that backends and their clients read. They would lead to other servers or change some
# backends only; a user's function can read the value from a variable of another name.
SYSTEMS = re.compile(
    r"_{0,2}(CELERY|C|KOMBU|BROKER|RQ|DASK|DJANGO|FLOWER|JOBLIB|LOKY|GEVENT|GEVENTARES|EVENTLET"
    r"|PSYCOPG|MP|SLMQ)_\w+|PG[A-Z]+"
    "|APP|RESULT_BACKEND|LOADER|CONFIG_MODULE|SKIP_CHECKS|DISABLE_IPV6|KMP_INIT_AT_FORK"
    "|MULTIPROCESSING_FORKING_DISABLE|FORKED_BY_MULTIPROCESSING|PICKLE_PROTOCOL|Q_CLUSTER_NAME"
    "|REMAP_SIGTERM|PUBSUB_EMULATOR_HOST|PROMETHEUS_MULTIPROC_DIR"
)
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
APPLICATION = "background-task-lab"
PACKAGES = ("lab", "workloads")
ROOT = Path(__file__).resolve().parents[2]


def of_process() -> dict[str, str]:
    """Return the environment of a process of the lab: the fixed list, and the lab's import path."""
    locale = {name: value for name, value in os.environ.items() if name.startswith(LOCALE)}
    return _named(PROCESS) | locale | SAFE_PATH | import_path()


def of_engine() -> dict[str, str]:
    """Return the environment of a client of the container engine."""
    return of_process() | _named(ENGINE)


def of_download() -> dict[str, str]:
    """Return the environment of a program that builds an image or looks up its source."""
    return of_engine() | _named(DOWNLOAD)


def of_lab() -> dict[str, str]:
    """Return the environment of a lab of another commit, with all variables of the lab."""
    # By prefix, because another commit may read variables that this one does not list.
    of_lab = {name: value for name, value in os.environ.items() if name.startswith("LAB_")}
    return of_engine() | of_lab


def with_users_code(python: str = sys.executable) -> dict[str, str]:
    """Return the variables with which a process imports the user's modules and reads their files.

    The user's modules are in the current folder and in the folders of PYTHONPATH. A process of the
    interpreter `python` searches them after all other folders.
    """
    return {"PWD": str(Path.cwd())} | import_path(users_folders(), python)


def users_folders() -> tuple[Path, ...]:
    """Return the current folder and the folders of the user's PYTHONPATH."""
    entries = filter(None, os.environ.get(IMPORT_PATH, "").split(os.pathsep))
    return tuple(dict.fromkeys([Path.cwd(), *(Path(entry).absolute() for entry in entries)]))


def passed(names: Iterable[str]) -> dict[str, str]:
    """Return the variables that ``--pass-env`` names, with their values.

    Raises:
        UsageError: A variable is not set, is not the name of a variable, or is a setting of the
            lab or of a backend.
    """
    variables = {}
    for name in names:
        if not NAME.fullmatch(name):
            raise UsageError(f"--pass-env {name!r} is not the name of a variable, such as API_URL.")
        if OURS.fullmatch(name) or name in PROCESS or name.startswith(LOCALE):
            raise UsageError(f"--pass-env {name}: the lab sets or passes it itself. Leave it out.")
        if SYSTEMS.fullmatch(name):
            raise UsageError(
                f"--pass-env {name}: a measured backend reads it as its setting. Pass the value "
                "in a variable of another name."
            )
        if name not in os.environ:
            raise UsageError(f"--pass-env {name}: it is not set. Run: export {name}=VALUE")
        variables[name] = os.environ[name]
    return variables


def _named(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def import_path(last: Iterable[Path] = (), python: str = sys.executable) -> dict[str, str]:
    """Return a PYTHONPATH that adds the lab's folder, and the folders `last` after all others.

    Python searches PYTHONPATH before the standard library. So the path contains the folders of the
    interpreter as well, before those of `last`; Python removes duplicates. Unlike a change of
    `sys.path`, this also works in processes that a backend starts.
    """
    # Another interpreter has no package of the lab, and to ask it takes the time of its start.
    last = tuple(last)
    default = default_path(python) if last or python == sys.executable else ()
    first = [] if str(ROOT) in default else [str(_source(ROOT))]
    users = [str(folder) for folder in last if str(folder) not in default]
    path = [*first, *(default if users else ()), *users]
    return {IMPORT_PATH: os.pathsep.join(path)} if path else {}


@cache
def _source(root: Path) -> Path:
    """Return a folder whose only packages are those of the lab, for another interpreter.

    That of a checkout, and of the copy in a container, is `root` itself. An installed lab is among
    the packages of its environment, of which no other interpreter may import any; so the folder has
    links to its packages.
    """
    if not any(root.glob("*.dist-info")):
        return root
    import platformdirs  # not in the environment that builds images

    digest = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    folder = platformdirs.user_cache_path(APPLICATION) / "source" / digest
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        with contextlib.suppress(FileExistsError):  # another lab was faster
            (folder / package).symlink_to(root / package)
    return folder


@cache
def default_path(python: str = sys.executable) -> tuple[str, ...]:
    """Return the default import path of an interpreter, in its order."""
    # A new interpreter, because `sys.path` of this one also has the folders of the user.
    program = "import json, sys; print(json.dumps(sys.path))"
    command = [python, "-c", program]
    env = _named(PROCESS) | SAFE_PATH
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))
