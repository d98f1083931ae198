"""Passes the machine's certificates and pip settings to a build, which needs them for downloads.

They are read for each build and passed as secrets. No image, file of the lab or result contains
them.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
ADDRESSES = ("index-url", "extra-index-url", "trusted-host", "proxy")
NUMBERS = ("timeout", "default-timeout", "retries")


def secrets(folder: Path) -> dict[str, Path]:
    """Return the files of the secrets that the Dockerfile mounts; new files are in `folder`.

    A machine with the default access to the package index has none.
    """
    settings = _settings()
    bundle = next(filter(None, map(os.environ.get, CERTIFICATES)), settings.get("cert", ""))
    files = {"certificates": Path(bundle)} if bundle and Path(bundle).is_file() else {}
    if text := _configuration(settings):
        files["pip"] = folder / "pip.conf"
        # Before the text, because the address of an index may contain a password.
        files["pip"].touch(mode=0o600)
        files["pip"].write_text(text, encoding="utf-8")
    return files


def _settings() -> dict[str, str]:
    """Merge pip's settings like pip: later files override earlier ones, the environment all."""
    settings: dict[str, str] = {}
    # Raw, as in pip: a `%` in an address is no reference to another setting.
    parser = configparser.RawConfigParser()
    for file in _files():
        parser.read(file, encoding="utf-8")
    for section in ("global", "install"):
        if parser.has_section(section):
            settings |= dict(parser.items(section))
    for name, value in os.environ.items():
        if name.startswith("PIP_") and value:
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


def _files() -> Iterator[Path]:
    home = Path.home()
    shared = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    # The first folder of XDG_CONFIG_DIRS has priority, so it comes last.
    yield from (Path(folder) / "pip/pip.conf" for folder in reversed(shared.split(os.pathsep)))
    yield Path("/etc/pip.conf")
    yield home / ".pip/pip.conf"
    yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    if named := os.environ.get("PIP_CONFIG_FILE"):
        yield Path(named)


def _configuration(settings: Mapping[str, str]) -> str:
    """Return a pip.conf of the settings that are valid in a build: no paths of this machine."""
    usable = {name: settings[name] for name in NUMBERS if name in settings}
    for name in ADDRESSES:
        values = settings.get(name, "").split()
        remote = [value for value in values if not value.startswith(("file:", "/", "."))]
        if remote:
            usable[name] = " ".join(remote)
    lines = [f"{name} = {value}\n" for name, value in usable.items()]
    return "".join(["[global]\n", *lines]) if lines else ""
