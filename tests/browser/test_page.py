"""Tests the report page in Chromium: charts, filters, URL state, copy, sort, and accessibility."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from lab.report.page import write_page
from tests.browser.conftest import Open
from tests.factories.campaigns import SMALL, SYSTEMS, campaign

pytestmark = pytest.mark.browser

POINTS = "#measure-chart .scatterlayer .points path"
LEGEND = "#measure-chart .legend .traces"
ROWS = "#first table tbody tr[data-label]:visible"
GROUPS = "#first table tbody tr.heading:visible"
AXE = Path(__file__).parent / "vendor/axe.min.js"
FAULTS = Path(__file__).parents[2] / "results/reference/faults/report.html"


def fragment(page: Page) -> str:
    """Return the fragment of the page's address."""
    return str(page.evaluate("decodeURIComponent(location.hash)"))


def heading(page: Page, text: str) -> Locator:
    """Return a heading of the first table."""
    return page.locator("#first thead th", has_text=text)


def test_the_chart_has_a_point_for_each_system(open_page: Open) -> None:
    """References are left out until they are chosen; then the address says so."""
    page = open_page()
    expect(page.locator(POINTS)).to_have_count(2)
    expect(page.locator(ROWS)).to_have_count(2)
    page.get_by_label("Show references").check()
    expect(page.locator(POINTS)).to_have_count(3)
    expect(page.locator(ROWS)).to_have_count(3)
    assert fragment(page) == "#references=shown"


def test_hovering_shows_value_interval_n_and_trials(open_page: Open) -> None:
    """In the chart, and as text below it."""
    page = open_page()
    page.locator(POINTS).first.hover(force=True)
    expect(page.locator("#measure-chart .hoverlayer .hovertext")).to_be_visible()
    for part in ("thread-pool", "/s", "95 % interval", "n = 5 trials", "trials 0000"):
        expect(page.locator("#measure-chart-point")).to_contain_text(part)


def test_a_tap_shows_the_same(open_page: Open) -> None:
    """A phone has no pointer."""
    page = open_page(has_touch=True, viewport={"width": 390, "height": 844})
    page.locator(POINTS).first.tap(force=True)
    expect(page.locator("#measure-chart-point")).to_contain_text("n = 5 trials")


def test_arrow_keys_move_over_the_points(open_page: Open) -> None:
    """The chart can be read without a pointer."""
    page = open_page()
    page.locator("#measure-chart").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#measure-chart-point")).to_contain_text("thread-pool")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#measure-chart-point")).to_contain_text("rq")


@pytest.mark.parametrize("way", ["click", "key"])
def test_a_legend_entry_isolates_its_system(open_page: Open, way: str) -> None:
    """The second time, all systems are shown again; the tables have boxes for the same."""
    page = open_page()
    for shown, only in ((1, "#only=thread-pool[executor]@default"), (2, "")):
        entry = page.locator(LEGEND).first
        if way == "click":
            entry.locator(".legendtoggle").click()
        else:
            entry.focus()
            page.keyboard.press("Enter")
        expect(page.locator(POINTS)).to_have_count(shown)
        expect(page.locator("#first tbody input:checked:visible")).to_have_count(shown)
        assert fragment(page) == only


def test_filters_are_in_the_address(open_page: Open) -> None:
    """A link shows the same choices to another reader, and a link to a section keeps them."""
    page = open_page()
    page.get_by_label("needs Redis").select_option("yes")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(POINTS)).to_have_count(1)
    page.get_by_label("median wait").check()
    page.get_by_label("scale").select_option("linear")
    page.get_by_text("Sections", exact=True).click()
    page.get_by_role("link", name="Answers").click()
    # The script writes the choices into the address after the browser has followed the link.
    page.wait_for_function("location.hash.includes('scale')")
    address = fragment(page)
    assert address == "#answers&redis=yes&measure=wait&scale=linear"
    again = open_page(address)
    expect(again.locator(ROWS)).to_have_count(1)
    expect(again.get_by_label("needs Redis")).to_have_value("yes")
    expect(again.get_by_label("median wait")).to_be_checked()
    expect(again.locator("#measure-chart")).to_contain_text("median wait")
    assert fragment(again) == address


def test_the_rate_of_the_reader_is_marked(open_page: Open) -> None:
    """In the chart of the waits; the axis reaches it, and the address has it."""
    page = open_page()
    page.get_by_label("Your tasks per second").fill("25")
    expect(page.locator("#waits-chart")).to_contain_text("your rate, 25/s")
    expect(page.locator("#waits-chart .shapelayer path")).to_have_count(1)
    assert fragment(page) == "#rate=25"


def test_a_rate_that_is_no_round_number_has_a_tick(open_page: Open, tmp_path: Path) -> None:
    """It may be the only one, between two round numbers."""
    tables = campaign(replace(SMALL, blocks=2, rates_hz=(70.0,)))
    page = open_page(path=write_page(tables, {}, tmp_path))
    expect(page.locator("#waits-chart .xtick text")).to_have_text(["70 /s"])


def test_a_contract_selects_its_systems(open_page: Open) -> None:
    """A pool is not compared with a queue unawares: each contract is a group of the table."""
    page = open_page()
    expect(page.locator(GROUPS)).to_have_text(["pool", "at-most-once job queue"])
    page.get_by_label("contract").select_option("at-most-once job queue")
    expect(page.locator(GROUPS)).to_have_text(["at-most-once job queue"])
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(POINTS)).to_have_count(1)
    page.locator(POINTS).first.hover(force=True)
    expect(page.locator("#measure-chart-point")).to_contain_text("at-most-once job queue")


def test_a_heading_sorts_its_table(open_page: Open, tmp_path: Path) -> None:
    """Ascending, then descending, within each contract; the address has it."""
    pools = tuple(s for s in SYSTEMS if s.variant in {"fork", "executor"})
    path = write_page(campaign(replace(SMALL, blocks=2, systems=pools)), {}, tmp_path)
    page = open_page(path=path)
    first = page.locator(ROWS).first
    heading(page, "tasks/s").click()
    expect(first).to_contain_text("process-pool")
    heading(page, "tasks/s").focus()
    page.keyboard.press("Enter")
    expect(first).to_contain_text("thread-pool")
    assert fragment(page) == "#sort-first-0=1-down"
    again = open_page(fragment(page), path)
    expect(heading(again, "tasks/s")).to_have_attribute("aria-sort", "descending")


def test_a_row_has_the_command_that_repeats_it(open_page: Open) -> None:
    """The button writes it into the clipboard."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#first .copy:visible").first.click()
    expect(page.locator("#note")).to_contain_text("Copied: lab reproduce synthetic/")
    text = page.evaluate("navigator.clipboard.readText()")
    assert f"Copied: {text}" == page.locator("#note").text_content()


def test_each_table_is_a_csv(open_page: Open) -> None:
    """Its file has the values, their intervals and their methods."""
    page = open_page()
    tables = page.locator("table:has(thead)").count()
    assert page.locator("a.csv").count() == tables
    with page.expect_download() as waiting:
        page.locator("#first a.csv").click()
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
    assert len(rows) == 3
    (row,) = (row for row in rows if row["system"] == "thread-pool")
    assert float(row["tasks/s"]) > 0
    assert " to " in row["tasks/s: interval"]
    assert "n = 5 trials" in row["tasks/s: note"]


def test_a_tap_on_a_number_shows_its_method(open_page: Open) -> None:
    """As the tooltip does for a pointer."""
    page = open_page(has_touch=True)
    page.locator("#first td.number").first.tap()
    expect(page.locator("#note")).to_contain_text("geometric mean")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Open, scheme: str) -> None:
    """The rules of axe-core for WCAG 2, on the whole page."""
    page = open_page("#rate=25", color_scheme=scheme)
    expect(page.locator("#waits-chart .shapelayer path")).to_have_count(1)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    results = page.evaluate("axe.run()")
    assert results["passes"]
    serious = [
        (one["id"], node["html"][:120], node["failureSummary"])
        for one in results["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]
    assert serious == []


@pytest.mark.parametrize("width", [390, 800, 1300])
def test_the_matrix_of_all_faults_is_not_cut(open_page: Open, width: int) -> None:
    """Its words fit into their squares, and its longest names into the window."""
    page = open_page(path=FAULTS, viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    cut = page.evaluate(
        """[...document.querySelectorAll(".faults .square b, .faults .square .count")]
        .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth)
        .map((e) => e.textContent)"""
    )
    assert cut == []


def test_a_share_is_written_in_percent(open_page: Open) -> None:
    """One lost task of 130 was 7.69 m% on the axis, a hundred times less than it is."""
    shares = open_page().evaluate("[0.0076923, 0.00019, 1].map((share) => withPrefix(share, '%'))")
    assert shares == ["0.769 %", "0.019 %", "100 %"]


@pytest.mark.parametrize("width", [390, 800, 1300])
def test_nothing_is_cut(open_page: Open, width: int) -> None:
    """The page is as wide as the window, and wider tables scroll in their frames."""
    page = open_page(viewport={"width": width, "height": 900})
    expect(page.locator(POINTS)).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = page.evaluate(
        """width => [...document.querySelectorAll("#first *")]
        .filter((e) => !e.closest(".scroll") && e.checkVisibility())
        .filter((e) => e.getBoundingClientRect().right > width + 1)
        .map((e) => e.outerHTML.slice(0, 100))""",
        width,
    )
    assert beyond == []


def test_without_script_everything_is_shown(open_page: Open) -> None:
    """The chart is a list, and nothing is shown that needs the script."""
    page = open_page(java_script_enabled=False)
    expect(page.locator("figure.strip-throughput li:visible")).to_have_count(2)
    for part in (".chart", ".controls", ".copy", "a.csv"):
        expect(page.locator(part).locator("visible=true")).to_have_count(0)
    page.get_by_label("median wait").check()
    expect(page.locator("figure.strip-wait")).to_be_visible()


def test_print_has_every_measure(open_page: Open) -> None:
    """On paper, nothing can be switched."""
    page = open_page()
    page.emulate_media(media="print")
    for name in ("throughput", "wait"):
        expect(page.locator(f"figure.strip-{name}")).to_be_visible()
    for part in (".chart", ".controls", ".copy", "a.csv"):
        expect(page.locator(part).locator("visible=true")).to_have_count(0)


def test_a_name_with_markup_is_text(open_page: Open, report_page: Path, tmp_path: Path) -> None:
    """A package may be foreign: a name cannot add elements to the page or to a chart."""
    hostile = report_page.read_text(encoding="utf-8").replace(
        '"name": "thread-pool"',
        '"name": "\\u003ca href=\'https://example.org\'\\u003e\\u003cb\\u003e"',
    )
    path = tmp_path / "report.html"
    path.write_text(hostile, encoding="utf-8")
    page = open_page(path=path)
    expect(page.locator("#measure-chart")).to_contain_text("<a href='https://example.org'><b>")
    assert page.locator("#measure-chart a").count() == 0
