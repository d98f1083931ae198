"""A base image from the machine's own Debian packages, where no registry has one to give.

It stands in for `python:X-slim`: a minimal system with python3 and venv, nothing else.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

from lab.core.errors import ClusterError
from lab.host import child_environment, temp_dirs
from lab.providers.engine import docker
from lab.providers.images import steps

TAG_LENGTH = 12
STEP = re.compile(r"I: ((?:running|installing|extracting|downloading|cleaning)\b.*)")
PACKAGES = "ca-certificates,python3,python3-venv"
OPTIONS = (
    "--format=tar",
    "--variant=minbase",
    f"--include={PACKAGES}",
    # A mirror that is a few weeks behind is signed all the same.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=APT::Install-Recommends "false"',
    # Else every layer that runs apt would carry 80 MB of its caches.
    '--aptopt=Dir::Cache::pkgcache ""',
    '--aptopt=Dir::Cache::srcpkgcache ""',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    # The machine's own, which the bootstrap copies; an engine puts its own in their place.
    '--customize-hook=rm --force "$1/etc/hostname" "$1/etc/resolv.conf"',
)
COMPONENTS = ("main", "universe")
NEXT = "Name images in LAB_BASE_IMAGE, LAB_REDIS_IMAGE, ...; or measure with --provider local."


def recipe() -> str:
    """Name what the base is made of: the machine's release, and how it is cut down."""
    words = "\n".join([*_release(), *OPTIONS])
    return hashlib.sha256(words.encode()).hexdigest()[:TAG_LENGTH]


def make_base(image: str, progress: Callable[[str], None]) -> None:
    """Bootstrap the machine's own release into an image.

    Raises:
        ClusterError: This is no Debian or Ubuntu, mmdebstrap is missing, or it failed.
    """
    if not shutil.which("mmdebstrap"):
        raise ClusterError(
            "No registry gives images, and making them here needs mmdebstrap. "
            "Run: sudo apt install mmdebstrap"
        )
    codename = _release()[1]
    # By way of a file: an import from a pipe cannot see that what fed the pipe has failed.
    with temp_dirs.folder() as folder:
        archive = folder / "base.tar"
        argv = ["mmdebstrap", *OPTIONS, codename, str(archive), *_mirrors()]
        steps.run(image, argv, STEP, progress, {})
        label = f"LABEL lab.recipe={image.partition(':')[2]}"
        changes = ("--change", "ENV LANG=C.UTF-8", "--change", label)
        docker("import", *changes, str(archive), image)


def _release() -> tuple[str, str]:
    """Name the machine's distribution and its release."""
    try:
        told = platform.freedesktop_os_release()
    except OSError:
        told = {}
    if told.get("ID") not in ("debian", "ubuntu") or "VERSION_CODENAME" not in told:
        raise ClusterError(
            "No registry gives images, and only Debian and Ubuntu can make them by themselves. "
            + NEXT
        )
    return told["ID"], told["VERSION_CODENAME"]


def _mirrors() -> Iterator[str]:
    """List the distribution's own archives that apt uses here, security updates among them."""
    name, codename = _release()
    archive = re.compile(rf"https?://\S*/{name}(-security)?/*")
    suite = re.compile(rf"{codename}(-updates|-security)?")
    told = subprocess.run(
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
    ).stdout
    signed = f"[signed-by=/usr/share/keyrings/{name}-archive-keyring.gpg]"
    for line in sorted(set(told.splitlines())):
        uri, release, component = line.split()
        if archive.fullmatch(uri) and suite.fullmatch(release) and component in COMPONENTS:
            yield f"deb {signed} {uri} {release} {component}"
