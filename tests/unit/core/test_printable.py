"""Tests that text from files, logs, exceptions and user functions cannot control the terminal."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import console
from lab.cli import progress
from lab.cli.main import main
from lab.comparison.render import _escaped
from lab.console import Terminal
from lab.core.errors import LabError
from lab.core.printable import one_line, printable
from lab.history import page as history_page
from lab.history.change_points import ChangePoints
from lab.planning.plan import Plan, Skip
from tests.factories import campaigns
from tests.factories.trials import spec_of

# Sets a title, clears the screen, an eight-bit CSI, a right-to-left override, a bell, an overwrite.
HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\x00\r\b[red]x[/red] :skull:"
SHOWN = r"\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\x00\r\x08[red]x[/red] :skull:"
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@given(st.text())
def test_only_printable_characters_remain(text: str) -> None:
    """For any text, the result has only printable characters and line ends."""
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c)[0] == "C" and c != "\n"]
    assert printable(shown) == shown


def test_letters_of_every_script_remain() -> None:
    """Only control characters are replaced; a long line is truncated."""
    for text in ("plain", "für µs é 漢字 ☃ עברית", "a\nb"):
        assert printable(text) == text
    assert printable(HOSTILE) == SHOWN
    assert one_line("a \n b\tc") == "a b c"
    assert len(one_line("x" * 1_000)) == 300


def test_lines_tables_plans_and_progress_are_printable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All output of a run whose names contain control characters."""
    monkeypatch.setattr(console, "data_console", Terminal(width=400))
    monkeypatch.setattr(console, "progress_console", Terminal(stderr=True, width=400))
    spec = replace(spec_of("inline"), workload=HOSTILE)
    console.say(HOSTILE)
    console.show_line(HOSTILE)
    console.show_table(HOSTILE, (HOSTILE,), [(HOSTILE,)])
    progress.show_plan(Plan((), (Skip(spec, HOSTILE),)))
    watch = progress.ProgressWatch()
    with watch:
        watch.begin([spec])
        watch.trial(spec)
        watch.phase(HOSTILE)
    shown = capsys.readouterr()
    assert not STEERING.search(shown.out + shown.err)
    assert "\U0001f480" not in shown.out + shown.err
    assert shown.err.count(SHOWN) == 1
    assert shown.out.count(SHOWN) >= 3


def test_an_error_message_is_printable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message of an exception is printed without control characters."""

    def fails(_: object) -> int:
        raise LabError(HOSTILE)

    monkeypatch.setattr("lab.cli.list.run", fails)
    assert main(["list"]) == LabError.exit_code
    assert SHOWN in capsys.readouterr().err


def test_the_report_of_a_hostile_run_is_printable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels, workloads and reasons of another user's run cannot control the terminal."""
    small = replace(
        campaigns.Campaign(), blocks=1, systems=campaigns.SYSTEMS[:2], workloads=("noop",)
    )
    tables = dict(campaigns.campaign(small))
    hostile = HOSTILE.replace("\x00", "").replace("\r", "")  # a CSV file cannot contain these
    tables["trial"] = tables["trial"].assign(workload=hostile, status="failed", reason=hostile)
    run = campaigns.write(tables, tmp_path / "runs" / "run")
    main(["report", str(run)])
    shown = capsys.readouterr()
    assert not STEERING.search(shown.out + shown.err)


def test_a_comment_for_a_pull_request_is_printable() -> None:
    """Markdown is also printed in the terminal."""
    assert not STEERING.search(_escaped(HOSTILE))


def policy(html: str) -> str:
    """Return the content security policy of a page."""
    (content,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    return str(content)


def test_every_page_has_a_content_security_policy() -> None:
    """Every template of a page has a strict policy, and a rendered page as well."""
    files = sorted(Path(console.__file__).parent.rglob("*.html.j2"))
    templates = [file for file in files if "<html" in file.read_text(encoding="utf-8")]
    assert [file.parent.name for file in templates] == ["history", "report"]
    for file in templates:
        rules = policy(file.read_text(encoding="utf-8")).split("; ")
        assert {"default-src 'none'", "base-uri 'none'", "form-action 'none'"} <= set(rules)
    assert "script-src" not in policy(history_page.render(ChangePoints([], 0, 0), ""))
