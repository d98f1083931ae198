"""Tests the report page: complete, self-contained, and safe against markup in data."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from lab.core.errors import ResultsError
from lab.figures import FIGURES, Picture, Tables
from lab.planning import registry
from lab.report import page as report_page
from lab.report.flag_reasons import flag_reasons
from lab.report.number_format import percent
from lab.report.page import PAGE, render
from lab.report.run_tables import RunTables
from lab.report.sections import changes, disturbances
from lab.report.summary import summary
from lab.results.store import Store
from tests.factories.campaigns import SMALL, campaign, write

FEW = SMALL.systems
FAILED = replace(
    SMALL,
    blocks=2,
    cores=(1,),
    failed=tuple(f"{s.backend}[{s.variant}]@default" for s in FEW),
)
EVIL = "<script>alert('x')</script>"
SCRIPTS = 3  # the library, the script of the page, and the data of the charts


class Page(HTMLParser):
    """Collects the visible text of a page, its tags, and the addresses that it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the tag and its addresses."""
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        """Collect visible text, without styles and scripts."""
        if self.tags and self.tags[-1] not in {"style", "script"}:
            self.words.append(data)


@pytest.fixture(scope="module")
def tables(synthetic: Tables) -> Tables:
    """Return a campaign of three backends with noise and losses."""
    return synthetic


@pytest.fixture(scope="module")
def folder(
    tables: Tables, pictures: Mapping[str, Picture], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Write its run folder with the report, beside an older run with the same fingerprint."""
    run = write(tables, tmp_path_factory.mktemp("runs") / "run")
    before = Store(run.with_name("before"))
    before.replace("campaign", tables["campaign"].assign(campaign_id="before"))
    for name in ("trial", "estimate"):
        before.replace(name, tables[name])
    drawn = {chart: pictures.get(name) for name, chart in FIGURES.items()}
    (run / PAGE).write_text(render(RunTables(run), drawn), encoding="utf-8")
    return run


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    """Return its page."""
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def shown(tables: Tables) -> Page:
    """Render a page without pictures."""
    return Page(render(tables, dict.fromkeys(FIGURES.values())))


def test_the_page_is_one_file(page: Page) -> None:
    """It loads no other file: pictures are inside, and links lead into the page."""
    assert page.addresses
    assert not [a for a in page.addresses if not a.startswith(("#", "data:image/svg+xml,"))]
    assert not {"link", "iframe", "object"} & set(page.tags)
    assert page.tags.count("img") == len(FIGURES)


def test_a_browser_runs_only_the_scripts_of_the_page(folder: Path) -> None:
    """The page's content security policy forbids other scripts and all requests."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    assert f"script-src {allowed};" in policy
    assert "default-src 'none'" in policy
    for script in scripts:
        text = text.replace(script, "")
    assert not re.search(r"\s(?:on\w+|srcdoc)=", text)
    assert re.findall(r"<script[^>]+>", text) == [
        '<script type="application/json" id="chart-data">'
    ]


@pytest.mark.parametrize(
    ("file", "licence"),
    [
        ("lab/report/vendor/plotly-basic.min.js", "MIT License"),
        ("tests/browser/vendor/axe.min.js", "Mozilla Public License"),
    ],
)
def test_a_vendored_script_is_the_published_one(file: str, licence: str) -> None:
    """Its bytes are those of the npm package that its notice names, with version and licence."""
    script = Path(__file__).parents[3] / file
    notice = script.with_name(script.name.replace(".min.js", ".LICENSE"))
    text = notice.read_text(encoding="utf-8")
    assert f"SHA-256 {hashlib.sha256(script.read_bytes()).hexdigest()}" in text
    assert re.search(r"npm package [\w.-]+ \d+\.\d+\.\d+ ", text)
    assert licence in text


def test_runs_with_the_same_fingerprint_are_the_history(folder: Path) -> None:
    """The older run is in `earlier`, and a damaged run beside it is left out."""
    assert set(RunTables(folder)["earlier"]["campaign_id"]) == {"before"}
    (folder.parent / "damaged").mkdir()
    (folder.parent / "damaged" / "campaign.csv").write_text("<html>")
    assert set(RunTables(folder)["earlier"]["campaign_id"]) == {"before"}


def test_links_have_a_target(folder: Path) -> None:
    """Every section that a link names exists."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert targets <= set(re.findall(r'<\w+ id="([^"]+)"', text))


def test_the_page_describes_the_campaign(page: Page) -> None:
    """It has command, commit, uncommitted changes, machine, interpreter and server."""
    for fact in (
        "lab bench --preset quick",
        "with uncommitted changes",
        "Made-up CPU @ 2.0 GHz",
        "3.11.7",
        "redis-server 6.2.14",
    ):
        assert fact in page.text


def test_the_page_explains_its_short_names(page: Page) -> None:
    """The sentence states what `select` does with such a name."""
    assert "A name without [variant] is the backend's first variant in lab list" in page.text
    assert registry.select("rq").label == f"rq[{registry.backend('rq').variants[0].name}]@default"


def test_a_fact_that_was_not_read_is_unknown(page: Page) -> None:
    """The synthetic machine has no fact about its memory."""
    assert "memory unknown" in page.text


def test_markup_in_trials_is_shown_as_text(tables: Tables) -> None:
    """This is true for every column that the page shows."""
    evil = {
        column: EVIL.replace("x", column)
        for column in ("label", "backend", "reason", "settings", "services")
    }
    hostile = {
        name: table.assign(**{column: text for column, text in evil.items() if column in table})
        for name, table in tables.items()
    }
    hostile["trial"] = hostile["trial"].assign(status="failed", flag_reasons=EVIL)
    page = shown(hostile)
    assert page.tags.count("script") == SCRIPTS
    assert [text for text in evil.values() if text not in page.text] == []


def test_markup_in_other_tables_is_shown_as_text(tables: Tables) -> None:
    """Neither the campaign nor the environment can add a tag to the page."""
    campaigns = tables["campaign"].assign(command=EVIL, campaign_id=EVIL, git_commit=EVIL)
    facts = tables["environment"].assign(value=EVIL)
    page = shown({**tables, "campaign": campaigns, "environment": facts})
    assert page.tags.count("script") == SCRIPTS
    assert page.text.count(EVIL) > 4


def test_a_run_in_which_all_trials_failed_has_a_report(tmp_path: Path) -> None:
    """The page lists every trial with its reason, and has no picture."""
    tables = campaign(FAILED)
    page = Page(
        report_page.write(RunTables(write(tables, tmp_path / "run"))).read_text(encoding="utf-8")
    )
    assert "img" not in page.tags
    assert "Not measured: this campaign has no valid trial of paced arrivals." in page.text
    assert all(trial_id in page.text for trial_id in tables["trial"]["trial_id"])
    assert "The broker did not answer within 10 s." in page.text
    for row in summary(tables):
        texts = {number.text for number in row.numbers.values()} | {row.lost.text}
        assert texts <= {"failed", "not measured"}


def test_a_campaign_without_trials_has_a_report(tables: Tables) -> None:
    """A campaign may be stopped before its first trial."""
    nothing = {name: t.head(0) for name, t in tables.items() if name != "campaign"}
    assert "No trial was run." in shown({**tables, **nothing}).text


def test_a_folder_without_a_campaign_is_refused(tmp_path: Path) -> None:
    """The message contains the folder and the next step."""
    with pytest.raises(ResultsError, match="is not a run folder"):
        report_page.write(RunTables(tmp_path))


def test_a_percentile_below_its_floor_is_refused_with_the_reason() -> None:
    """With too few tasks for a p99 the page shows `refused` and the reason (KAT-7)."""
    tables = campaign(replace(SMALL, systems=FEW[:1], workloads=("noop",), paced_tasks=100))
    assert [row.numbers["p99"].text for row in summary(tables)] == ["refused"]
    assert "p99 needs 662 tasks (METHOD M11); there are 100" in shown(tables).text


def test_skips_are_shown_with_their_reason(tables: Tables) -> None:
    """A skipped configuration is listed with the failures, and is not in the summary."""
    why = "celery[threads] does not take a whole batch."
    skipped = (
        tables["trial"]
        .head(1)
        .assign(
            status="skipped", reason=why, trial_id="skip", n_sent=0, n_done=0, label="a[b]@default"
        )
    )
    page = shown({**tables, "trial": pd.concat([tables["trial"], skipped])})
    assert why in page.text
    assert "1 skipped" in page.text
    assert summary({**tables, "trial": skipped}) == []


def test_the_page_shows_the_noise(tables: Tables, page: Page) -> None:
    """It has the flags by reason, without figures, and the spread of each disturbance."""
    trials = tables["trial"]
    noisy = int((trials["flag"] == "noisy").sum())
    assert ("noisy", "steal", noisy) in flag_reasons(trials)
    assert f"{noisy} noisy" in page.text
    spread = dict(disturbances(trials))
    assert spread["stolen by the hypervisor"][-1] == percent(trials["steal"].max())
    assert spread["CPU pressure"] == ["0", *["not measured"] * 3]


def test_headlines_are_compared_without_noisy_trials(tables: Tables) -> None:
    """Each number that includes noisy trials is also shown without them (METHOD M23)."""
    compared = changes(tables)
    assert compared
    table = tables["estimate"]
    both = table[table["metric"] == "throughput_per_s"].merge(
        table[table["analysis_id"].str.endswith("without-noisy")],
        on=["metric", "label", "workload", "arrival", "cores_per_node"],
    )
    both = both[(both["n_noisy_x"] > 0) & (both["arrival"] == "burst")]
    ratios = both["estimate_y"] / both["estimate_x"] - 1
    shown_ratios = [change.ratio for change in compared if change.metric == "tasks/s"]
    assert sorted(shown_ratios) == pytest.approx(sorted(ratios))


def test_the_page_shows_effective_settings(tables: Tables) -> None:
    """It has every setting of every label; settings that are not JSON are shown unchanged."""
    trials = tables["trial"]
    some = trials.assign(settings=trials["backend"].map({"rq": '{"timeout": 180}', "inline": "?"}))
    page = shown({**tables, "trial": some.fillna({"settings": "{}"})})
    assert "timeout 180" in page.text
    assert "as recorded ?" in page.text


def test_columns_without_a_number_are_listed_below_the_table(tables: Tables) -> None:
    """The table of a workload leaves out columns without any number."""
    burst = {**tables}
    for name in ("trial", "estimate"):
        burst[name] = tables[name][tables[name]["arrival"] == "burst"]
    assert "Not measured here: p50 ms, p90 ms, p99 ms, round trip p50 ms." in shown(burst).text
