"""Configures Sphinx: `nox -s docs` builds the site from the Markdown pages of this repository."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Background Task Lab"
author = "The Background Task Lab contributors"
version = release = _PROJECT["version"]
# The source folder is the repository, so that a link from one page to another is the same path in
# the repository and in the site.
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "results/README.md",
    "results/reference/*/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = [".*", "build", "dist", "results/runs", "results/asv*", "results/published"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"Background Task Lab {release}"
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]
html_show_sourcelink = False
# Links such as `method.md#how-long-a-trial-is` lead to headings down to this level.
myst_heading_anchors = 4
# Anchors of the method are HTML, which GitHub needs; `tests/docs/test_site.py` checks every link.
suppress_warnings = ["myst.header", "myst.xref_missing", "toc.not_included"]
napoleon_use_ivar = True
autodoc_typehints = "description"
autodoc_member_order = "bysource"

# `nox -s history` writes them; a checkout without runs has none.
HISTORY = {"asv": "results/asv-html", "change-points": "results/history"}


def setup(app: Sphinx) -> None:
    """Add the pages of the history to the site, if there are any."""
    if all((ROOT / place).is_dir() for place in HISTORY.values()):
        app.tags.add("history")
    app.connect("build-finished", _copy_history)


def _copy_history(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.tags.has("history"):
        for name, place in HISTORY.items():
            shutil.copytree(ROOT / place, Path(app.outdir, "history", name), dirs_exist_ok=True)
