"""Tests the site: it builds without a warning, every link and anchor exists, nothing is remote."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """The links, the loaded files and the anchors of one page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links, self.loaded = list[str](), list[str]()
        self.anchors = set[str]()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what an element names."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in {"stylesheet", "icon"}:
            self.loaded.append(values["href"])
        elif tag in {"script", "img"} and "src" in values:
            self.loaded.append(values["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `nox -s docs` builds it; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    build = ("-m", "sphinx", "-c", "docs", "-q", "-W", "--keep-going", "-b", "html")
    command = [sys.executable, *build, "-d", str(folder / "trees"), ".", str(folder / "html")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"


def test_every_link_leads_to_a_page_and_an_anchor(site: Path) -> None:
    """A link inside the site names a file that is there, and an anchor of it."""
    pages = {file: Page(file) for file in site.rglob("*.html")}
    assert site / "docs/method.html" in pages
    dead = []
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            anchors = pages[target].anchors if target in pages else set()
            if not target.exists() or (parts.fragment and parts.fragment not in anchors):
                dead.append(f"{file.relative_to(site)}: {link}")
    assert dead == []


def test_no_page_loads_from_another_host(site: Path) -> None:
    """The site works without a network: it has its own scripts, styles and pictures."""
    remote = {
        address
        for file in site.rglob("*.html")
        for address in Page(file).loaded
        if urlsplit(address).netloc
    }
    assert remote == set()


def test_the_api_of_plugins_is_complete(site: Path) -> None:
    """Each name that `lab.plugin` exports has an entry with an anchor."""
    from lab import plugin

    anchors = Page(site / "docs/plugin.html").anchors
    classes_and_functions = [name for name in plugin.__all__ if name != "DEFAULT"]
    assert [n for n in classes_and_functions if f"lab.plugin.{n}" not in anchors] == []


def test_search_finds_the_rules(site: Path) -> None:
    """The index of the search has the words of the method."""
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert "docs/method" in index
    assert "percentil" in index
