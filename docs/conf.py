"""Configures Sphinx: `nox -s docs` builds the site from the Markdown pages of this repository."""

from __future__ import annotations

import tomllib
from pathlib import Path

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
