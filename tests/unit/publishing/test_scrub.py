"""Tests that published texts have no private text, no line of a log, and no formula."""

from __future__ import annotations

import getpass
import json
import platform
import re
import socket
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lab import figures
from lab.cli.main import main
from lab.figures.history import OVER_TIME
from lab.publishing.scrub import Scrub
from lab.publishing.tables import PublishedTables
from lab.report import page
from tests.factories import campaigns
from tests.factories.rows import a_row
from tests.factories.user_tasks import SECRETS

SMALL = replace(campaigns.Campaign(), blocks=1, systems=campaigns.SYSTEMS[:2], workloads=("noop",))
FIRST = "First exception of a task"
HOST, USER = "build-host-77", "jane.doe"
KEY = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.fixture
def scrub(monkeypatch: pytest.MonkeyPatch) -> Scrub:
    """A `Scrub` of a machine and a user with known names."""
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.corp.example")
    monkeypatch.setattr(platform, "node", lambda: HOST)
    monkeypatch.setattr(getpass, "getuser", lambda: USER)
    monkeypatch.setenv("HOME", f"/home/{USER}")
    return Scrub()


@pytest.mark.parametrize(
    ("text", "published"),
    [
        (f"[Errno 2] in /home/{USER}/shop/x.py", "[Errno 2] in <home>"),
        ("/srv/data/x.csv is full", "<path> is full"),
        ("~/.ssh/id_ed25519", "<path>"),
        (f"cannot resolve {HOST}", "cannot resolve <host>"),
        (f"celery@{HOST.upper()} is gone", "celery@<host> is gone"),
        (f"{USER}: no such user", "<user>: no such user"),
        ("peer 10.1.2.3:5432", "peer 10.1.2.3:5432".replace("10.1.2.3", "<ip>")),
        ("fe80::1ff:fe23:4567:890a here", "<ip> here"),
        ("redis://:hunter2@127.0.0.1:6379/0", "redis://<credentials>@127.0.0.1:6379/0"),
        ("amqp://u:p@db.corp.example/x", "amqp://<credentials>@<host>/x"),
        (f"key {KEY}", "key <token>"),
        ("API_KEY=hunter2, retried", "API_KEY=<secret>, retried"),
        ("password: hunter2", "password: <secret>"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: <secret>"),
        ("mail jane@corp.example.org", "mail <address>"),
        ("\x1b[31mred", r"\x1b[31mred"),
    ],
)
def test_text_replaces_private_parts(scrub: Scrub, text: str, published: str) -> None:
    """Paths, names, addresses and secrets become placeholders."""
    assert scrub.text(text) == published


@pytest.mark.parametrize(
    "text",
    [
        "celery-beat[static]@default takes no tasks: it runs only scheduled jobs.",
        "foreign CPU: other processes used 4.0%; drift: a fixed loop's time changed by 5.2%",
        "redis 6.2.14 (machine; no persistence), 127.0.0.1:6379, 1500 tasks/s, 1/2",
        "started 2026-11-27T04:12:27+00:00 on Python 3.11.2",
        "background-task-lab, django_celery_beat.schedulers.DatabaseScheduler",
    ],
)
def test_text_keeps_texts_of_the_lab(scrub: Scrub, text: str) -> None:
    """Labels, numbers, versions, times and loopback addresses stay."""
    assert scrub.text(text) == text


@pytest.mark.parametrize(
    ("reason", "published"),
    [
        ("The driver ended early: hunter2", "The driver ended early (quote left out)."),
        (
            f"The driver was killed: x: y {FIRST}: ValueError: hunter2 (traceback: ledger/0).",
            f"The driver was killed (quote left out). {FIRST}: ValueError",
        ),
        (
            "3 of 9 tasks raised. First exception of a task: KeyError: 'hunter2' (traceback: l/x).",
            "3 of 9 tasks raised. First exception of a task KeyError (quote left out).",
        ),
        (
            "Submitting failed: ConnectionError: at x",
            "Submitting failed ConnectionError (quote left",
        ),
        ("The driver did not end in time.", "The driver did not end in time."),
        ("", ""),
    ],
)
def test_reason_removes_quotes(scrub: Scrub, reason: str, published: str) -> None:
    """The lab's sentence and the exception's type stay; messages and log lines are removed."""
    assert scrub.reason(reason).startswith(published)
    assert "hunter2" not in scrub.reason(reason)


def test_settings_scrubs_values_and_returns_json(scrub: Scrub) -> None:
    """Numbers stay, even under a key with "token"; secrets and paths are removed."""
    settings = {
        "token_ttl": 500,
        "password": "hunter2",
        "broker": {"url": "redis://:hunter2@127.0.0.1:1/0", "dirs": [f"/home/{USER}/x"]},
        "loop": "asyncio.unix_events._UnixSelectorEventLoop",
    }
    text = scrub.settings(json.dumps(settings))
    assert "hunter2" not in text
    published = json.loads(text)
    assert published["token_ttl"] == 500
    assert published["broker"]["dirs"] == ["<home>"]
    assert published["loop"] == settings["loop"]


def texts(package: Path) -> dict[str, str]:
    """Return every file of a package as text, with Parquet tables as CSV."""
    contents = {}
    for file in sorted(f for f in package.rglob("*") if f.is_file()):
        name = file.relative_to(package).as_posix()
        if file.suffix == ".parquet":
            contents[name] = pd.read_parquet(file).to_csv()
        elif file.suffix != ".png":
            contents[name] = file.read_text(encoding="utf-8")
    return contents


def test_hits_are_published_without_paths(scrub: Scrub, tmp_path: Path) -> None:
    """Proof and reason may quote an error of the machine."""
    quoted = f"cannot read {Path.home()}/run"
    row = a_row("fault", proof=quoted, reason=quoted)
    rows = PublishedTables(tmp_path, scrub).scrubbed("fault", pd.DataFrame([row]))
    assert str(Path.home()) not in f"{rows['proof'][0]} {rows['reason'][0]}"


def test_hosts_are_published_as_numbers(scrub: Scrub, tmp_path: Path) -> None:
    """Their names are private; which nodes share a host is not."""
    hosts = ["db7.corp|web1|db7.corp", "", "web1"]
    rows = pd.DataFrame([a_row("trial", node_hosts=text, settings="{}") for text in hosts])
    published = PublishedTables(tmp_path, scrub).scrubbed("trial", rows)
    assert published["node_hosts"].tolist() == ["host 1|host 2|host 1", "", "host 1"]


def test_publish_removes_the_output_of_a_users_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prints and raises a token, a path, and the names of host and user."""
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.setattr(getpass, "getuser", lambda: USER)
    chosen = [
        "-b",
        "thread-pool",
        "-b",
        "process-pool",
        "--task",
        "tests.factories.user_tasks:leaks",
    ]
    small = ["--arrival", "burst", "--tasks", "20", "--blocks", "1", "--cores", "1"]
    where = ["--provider", "local", "--allow-dirty", "--results", str(tmp_path)]
    main(["bench", *chosen, *small, *where, "--tables-only", "--allow-errors"])
    (run,) = (tmp_path / "runs").iterdir()
    reasons = "".join(pd.read_csv(run / "trial.csv").reason.dropna())
    assert SECRETS["token"] in reasons  # the local run contains it
    target = tmp_path / "package"
    assert main(["publish", str(run), "--to", str(target)]) == 0
    for name, text in texts(target).items():
        for secret in (*SECRETS.values(), str(tmp_path)):
            assert secret not in text, name
    published = pd.read_csv(target / "trial.csv").reason
    assert published.str.contains("RuntimeError").all()


def test_publish_scrubs_and_escapes_every_text_of_a_foreign_run(tmp_path: Path) -> None:
    """Private texts and markup are in all columns that contain free text."""
    tables = dict(campaigns.campaign(SMALL))
    private = "redis://:hunter2@10.9.8.7:1/0 /srv/secret/place <script>alert(1)</script>"
    tables["trial"] = tables["trial"].assign(
        status="failed",
        reason=f"The driver died: {private}",
        flag_reasons=private,
        services=private,
        images=private,
        settings=json.dumps({"url": private}),
    )
    markup = "quick](http://evil.example)<script>\n```"
    tables["campaign"] = tables["campaign"].assign(command=f"bench {private}", preset=markup)
    tables["environment"] = tables["environment"].assign(value=private)
    run = campaigns.write(tables, tmp_path / "runs" / "run")
    plan = {"trials": [], "skips": [[{}, private]], "command": f"bench --x={private}"}
    (run / "plan.json").write_text(json.dumps(plan))
    (run / "report.html").write_text(private)
    target = tmp_path / "package"
    assert main(["publish", str(run), "--to", str(target)]) == 0
    for name, text in texts(target).items():
        assert not re.search("hunter2|10[.]9[.]8[.]7|/srv/secret", text), name
        if name.endswith((".html", ".cff")):
            assert "<script>alert" not in text, name
    before, fenced, after = (target / "README.md").read_text().split("```")
    assert not re.search(r"<script|quick\]", before + after)
    assert "preset quickhttp:hostscriptn," in before
    assert "nox -s bench -- " in fenced


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the data of every figure, but draw none, and no section of the page."""
    monkeypatch.setattr(figures, "draw", lambda *_: None)
    monkeypatch.setattr(figures, "write", lambda *_: None)
    monkeypatch.setattr(page, "render", lambda *_: "<p>A page</p>")


@pytest.mark.usefixtures("without_pictures")
def test_package_disarms_formulas(tmp_path: Path) -> None:
    """An apostrophe precedes a formula in a text; negative numbers stay numbers."""
    tables = dict(campaigns.campaign(SMALL))
    trials = tables["trial"]
    tables["trial"] = trials.assign(flag_reasons="=HYPERLINK(1)", workload="=noop")
    for name in ("estimate", "trend"):
        tables[name] = tables[name].assign(workload="=noop")
    run = campaigns.write(tables, tmp_path / "runs" / "run")
    (run / "plan.json").write_text('{"trials": []}')
    (run / "figures").mkdir()
    (run / "figures" / "x.csv").write_text("name,y,n\n=1+1,-2.5,\n")
    (run / "figures" / "secret.csv").symlink_to("/etc/hostname")
    target = tmp_path / "out"
    assert main(["publish", str(run), "--to", str(target)]) == 0
    written = pd.read_csv(target / "trial.csv")
    assert set(written.flag_reasons) == {"'=HYPERLINK(1)"}
    assert set(written.workload) == {"'=noop"}
    drawn = [pd.read_csv(file, dtype=str) for file in (target / "figures").glob("*.csv")]
    assert {value for cells in drawn for value in cells.get("workload", ())} == {"'=noop"}
    # Figures are drawn from the published tables; other files of the folder are not copied.
    assert not (target / "figures" / "x.csv").exists()
    assert not (target / "figures" / "secret.csv").exists()
    # It shows other runs, which are not in the package.
    assert not (target / "figures" / f"{OVER_TIME.name}.csv").exists()
