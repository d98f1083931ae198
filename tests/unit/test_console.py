"""Tests that tables fit into the terminal: columns are left out, and numbers are never broken."""

from __future__ import annotations

import pytest

from lab import console
from lab.cli.main import main
from lab.console import Terminal

COLUMNS = ("label", "workload", "tasks/s", "instrumentation %", "p99 ms", "lost", "flags")
ROWS = [
    ("celery[prefork]", "noop", "12,300", "0.81", "81.3", "0 of 2,000", "3 ok, 1 noisy"),
    ("rq", "noop", "123", "0.02", "90.1", "1 of 2,000", "4 ok"),
]


def a_terminal(width: int) -> Terminal:
    """Return a terminal without colours."""
    return Terminal(width=width, force_terminal=True, color_system=None)


@pytest.mark.parametrize(
    ("width", "absent"),
    [
        (200, []),
        (80, ["workload", "instrumentation %"]),
        (50, ["workload", "instrumentation %", "flags"]),
    ],
)
def test_a_table_of_numbers_leaves_columns_out_until_it_fits(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
    absent: list[str],
) -> None:
    """Each row is one line, and sentences have the columns that are missing."""
    monkeypatch.setattr(console, "data_console", Terminal(width=width))
    console.show_numbers("Summary", COLUMNS, ROWS, ("instrumentation %",))
    shown = capsys.readouterr().out
    table = shown.partition("The same in")[0].splitlines()
    assert len([line for line in table if "celery[prefork]" in line and "12,300" in line]) == 1
    assert max(map(len, table)) <= width
    assert [name for name in COLUMNS if name not in "".join(table)] == absent
    sentences = shown.partition("The same in every row: ")[2]
    assert sentences.startswith("workload noop.") == bool(absent)
    assert (f"do not fit: {', '.join(absent[1:])}." in sentences) == bool(absent)


def test_the_title_of_a_narrow_table_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was broken in the width of the table: four lines above two columns."""
    monkeypatch.setattr(console, "data_console", Terminal(width=80))
    title = "Wait in ms at equal rates, p50 / p90 / p99; noop, 1 core, 1 worker"
    console.show_numbers(title, ("label", "75 /s"), [("rq", "9.85")])
    assert capsys.readouterr().out.splitlines()[0] == title


def test_a_text_is_broken_beside_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its lines begin in one column, and a long name moves the first of them."""
    monkeypatch.setattr(console, "data_console", a_terminal(30))
    console.show_texts("Names", [("rq", "one two three four"), ("celery[prefork]", "five six")])
    assert capsys.readouterr().out.splitlines() == [
        "Names",
        "  rq          one two three",
        "              four",
        "  celery[prefork]  five six",
    ]


def test_a_message_breaks_between_words() -> None:
    """No line is longer than the terminal, and each begins with the indent of the message."""
    text = f"    Why: {'other processes took CPU time; ' * 6}end."
    lines = console.broken(text, 80)
    assert max(map(len, lines)) <= 80
    assert all(line.startswith("    ") and not line.startswith("     ") for line in lines)
    assert " ".join(line.strip() for line in lines) == text.strip()
    assert console.broken("", 80) == [""]


def test_a_message_never_breaks_what_a_reader_copies() -> None:
    """A command at the end of a message, and a path, are one piece."""
    command = f"lab bench --resume results/runs/{'x' * 60} --task module:function"
    lines = console.broken(f"Stopped. All finished trials are saved. To continue: {command}", 80)
    assert lines == ["Stopped. All finished trials are saved. To continue:", command]
    path = f"/srv/{'x' * 90}/report.html"
    assert console.broken(f"Report page: {path}", 80) == ["Report page:", path]


def test_a_pipe_receives_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads the messages finds each on one line."""
    console.say("word " * 60)
    assert capsys.readouterr().err.strip() == ("word " * 60).strip()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_list_is_complete_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    """Descriptions were cut to half of a line; those of a pipe are one line each."""
    assert main(["list"]) == 0
    piped = capsys.readouterr().out
    monkeypatch.setattr(console, "data_console", a_terminal(width))
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    assert shown.split() == piped.split()
    assert "…" not in shown
    (row,) = (line for line in piped.splitlines() if line.startswith("  celery[prefork] "))
    assert row.endswith("`celery worker --pool prefork` (Celery docs, Concurrency).")
