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


def test_the_last_cell_of_a_list_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name is complete, and its description takes the rest of one line."""
    monkeypatch.setattr(console, "data_console", Terminal(width=40))
    console.show_lines("Names", ("name", "description"), [("celery[prefork]", "x" * 100)])
    rows = [line for line in capsys.readouterr().out.splitlines() if "x" in line]
    assert len(rows) == 1
    assert len(rows[0]) == 40
    assert "celery[prefork]" in rows[0]


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


def test_a_list_has_room_for_descriptions_at_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The words of the contract, equal in most rows, took half of it; a cut text says so."""
    monkeypatch.setattr(console, "data_console", console.Terminal(width=80))
    assert main(["list", "backends", "celery[", "job queue"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    (row,) = (line for line in shown.splitlines() if "celery[prefork] " in line)
    _, _, contract, description, _ = row.split("│")
    assert contract.strip() == "at-most-once"
    assert len(description.strip()) > 25
    assert description.strip().endswith("…")
