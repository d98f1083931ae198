"""Opens report pages in Chromium, without network, and fails on errors in the console."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from lab.figures import Tables, save
from lab.figures.waits import WAITS
from lab.report.page import write_page
from tests.conftest import once

Open = Callable[..., Page]
# Only a bound: what is awaited is there within a second, unless the machine is busy.
PATIENCE_MS = 60_000
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def report_page(synthetic: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of the synthetic campaign, with one figure, and return its path."""

    def make(folder: Path) -> Path:
        folder.mkdir()
        drawn = {WAITS: save(WAITS, synthetic, folder / "figures")}
        return write_page(synthetic, drawn, folder)

    return once(tmp_path_factory, "browser", make)


# By module and not for the whole session: Playwright's event loop would be that of later tests.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium: Playwright would download another one."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, "Chromium is missing; run .ci/ensure-chromium.sh"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            # A sandbox needs privileges that a container of CI lacks; the pages are the lab's.
            chromium_sandbox=False,
            # A process in reserve would count as one that a test left behind.
            args=["--disable-features=SpareRendererForSitePerProcess"],
        )
        # The first page starts further processes of the browser, which no single test may start.
        browser.new_page().close()
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, report_page: Path) -> Iterator[Open]:
    """Return a function that opens the page with a fragment; keywords are of the context."""
    errors: list[str] = []
    requests: list[Request] = []

    def opened(fragment: str = "", path: Path = report_page, **options: object) -> Page:
        context = chromium.new_context(offline=True, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda message: errors.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 (a built-in method fails)
        page.goto(f"{path.as_uri()}{fragment}")
        if options.get("java_script_enabled", True):
            # From then on, the chart reacts to pointer, finger and keys.
            expect(page.locator("#measure-chart .traces[role=button]").first).to_be_attached()
        return page

    yield opened
    for context in chromium.contexts:
        context.close()
    assert errors == []
    schemes = {request.url.partition(":")[0] for request in requests}
    assert schemes <= {"file", "data", "blob"}
