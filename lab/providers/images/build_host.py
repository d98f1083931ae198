"""What a build must know of this machine to reach its package index: certificates, pip's settings.

Both are read when they are needed, and given to the build as secrets: they are in no image, no
file of the lab, and no result.
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
    """Return the secrets that the Dockerfile asks for, as files; those made here are in `folder`.

    On a machine with an ordinary way to the package index there are none.
    """
    settings = _settings()
    bundle = next(filter(None, map(os.environ.get, CERTIFICATES)), settings.get("cert", ""))
    found = {"certificates": Path(bundle)} if bundle and Path(bundle).is_file() else {}
    if text := _configuration(settings):
        found["pip"] = folder / "pip.conf"
        found["pip"].touch(mode=0o600)
        found["pip"].write_text(text, encoding="utf-8")
    return found


def _settings() -> dict[str, str]:
    """Merge pip's settings as pip does: each later file over the earlier, the environment last."""
    settings: dict[str, str] = {}
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
    yield from (Path(folder) / "pip/pip.conf" for folder in reversed(shared.split(os.pathsep)))
    yield Path("/etc/pip.conf")
    yield home / ".pip/pip.conf"
    yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    if named := os.environ.get("PIP_CONFIG_FILE"):
        yield Path(named)


def _configuration(settings: Mapping[str, str]) -> str:
    """Write the settings that hold inside a build too, where no folder of this machine is seen."""
    kept = {name: settings[name] for name in NUMBERS if name in settings}
    for name in ADDRESSES:
        words = [w for w in settings.get(name, "").split() if not w.startswith(("file:", "/", "."))]
        if words:
            kept[name] = " ".join(words)
    lines = [f"{name} = {value}\n" for name, value in kept.items()]
    return "".join(["[global]\n", *lines]) if lines else ""
