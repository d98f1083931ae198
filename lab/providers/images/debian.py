"""Builds a base image from packages of a Debian or Ubuntu release.

It replaces `python:X-slim` if no registry is reachable: a minimal system with python3 and venv.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
from collections.abc import Callable

from lab.core.errors import ClusterError
from lab.host import child_environment, temp_dirs
from lab.providers.engine import engine
from lab.providers.images import steps

TAG_LENGTH = 12
# The label of each image that is built here; its value is the image's tag.
LABEL = "lab.recipe"
STEP = re.compile(r"I: ((?:running|installing|extracting|downloading|cleaning)\b.*)")
PACKAGES = "ca-certificates,python3,python3-venv"
OPTIONS = (
    "--format=tar",
    "--variant=minbase",
    f"--include={PACKAGES}",
    # A mirror may be a few weeks old; its signature is checked nevertheless.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=APT::Install-Recommends "false"',
    # Without these two, each layer that runs apt contains 80 MB of caches.
    '--aptopt=Dir::Cache::pkgcache ""',
    '--aptopt=Dir::Cache::srcpkgcache ""',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    # The bootstrap copies these files from the machine; the engine mounts others over them.
    '--customize-hook=rm --force "$1/etc/hostname" "$1/etc/resolv.conf"',
)
# Ubuntu has redis-server in `universe`, and Debian has no component of that name.
COMPONENTS = ("main", "universe")
NEXT = "Set LAB_BASE_IMAGE, LAB_REDIS_IMAGE, ... to images, or use --provider local."


def recipe(debian: str = "") -> str:
    """Return a hash of the base image's inputs: the release, and the options.

    `debian` is the code name of a release of Debian; empty: the machine's release.
    """
    inputs = "\n".join([*_named(debian), *OPTIONS])
    return hashlib.sha256(inputs.encode()).hexdigest()[:TAG_LENGTH]


def make_base(image: str, progress: Callable[[str], None], debian: str = "") -> None:
    """Bootstrap a release into an image; `debian` as for `recipe`.

    Raises:
        ClusterError: The machine is not Debian or Ubuntu, or has no archive of the release, or
            mmdebstrap is missing or failed.
    """
    if not shutil.which("mmdebstrap"):
        raise ClusterError(
            "No registry provides the images, and a build on this machine needs mmdebstrap. "
            "Run: sudo apt install mmdebstrap"
        )
    # Through a file, because an import from a pipe would not notice a failure of mmdebstrap.
    with temp_dirs.folder() as folder:
        archive = folder / "base.tar"
        argv = ["mmdebstrap", *OPTIONS, _named(debian)[1], str(archive), *mirrors(debian)]
        steps.run(image, argv, STEP, progress, {})
        name, _, tag = image.partition(":")
        changes = ["ENV LANG=C.UTF-8", f"LABEL {LABEL}={tag}"]
        with engine() as client:
            client.api.import_image_from_file(str(archive), name, tag, changes)


def _release() -> tuple[str, str]:
    """Return the name of the machine's distribution, and the code name of its release."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") not in ("debian", "ubuntu") or "VERSION_CODENAME" not in release:
        raise ClusterError(
            "No registry provides the images, and a build on this machine needs Debian or Ubuntu. "
            + NEXT
        )
    return release["ID"], release["VERSION_CODENAME"]


def _named(debian: str) -> tuple[str, str]:
    return ("debian", debian) if debian else _release()


def mirrors(debian: str) -> list[str]:
    """Return the archives of a release that apt's configuration has; `debian` as for `recipe`.

    Of the machine's own release, updates are included.
    """
    name, codename = _named(debian)
    signed = f"[signed-by=/usr/share/keyrings/{name}-archive-keyring.gpg]"
    if (name, codename) != _release():
        # Another release is beside that of the machine, in the same archive.
        main = re.compile(rf"https?://\S*/{name}/*")
        uris = sorted({uri for uri, _, _ in _targets() if main.fullmatch(uri)})
        if not uris:
            raise ClusterError(
                f"An image of Debian {codename} is needed, and apt of this machine has no archive "
                f"of Debian. {NEXT}"
            )
        return [f"deb {signed} {uris[0]} {codename} main"]
    archive = re.compile(rf"https?://\S*/{name}(-security)?/*")
    suite = re.compile(rf"{codename}(-updates|-security)?")
    # Other sources of this machine, such as that of its engine, are no part of the release.
    return [
        f"deb {signed} {uri} {of_release} {component}"
        for uri, of_release, component in _targets()
        if archive.fullmatch(uri) and suite.fullmatch(of_release) and component in COMPONENTS
    ]


def _targets() -> list[tuple[str, str, str]]:
    """Return address, release and component of the archives in apt's configuration."""
    lines = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
        ],
        env=child_environment.of_download(),
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    return [
        (uri, release, component) for uri, release, component in map(str.split, sorted({*lines}))
    ]
