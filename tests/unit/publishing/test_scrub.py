"""What is published holds no path, host, user, address or secret, and no line of a log."""

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

from lab.cli.main import main
from lab.publishing.scrub import Scrub
from tests.factories import campaigns
from tests.factories.user_tasks import SECRETS

SMALL = replace(campaigns.Campaign(), blocks=1, systems=campaigns.SYSTEMS[:2], workloads=("noop",))
FIRST = "First exception of a task"
HOST, USER = "build-host-77", "jane.doe"
KEY = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.fixture
def scrub(monkeypatch: pytest.MonkeyPatch) -> Scrub:
    """Of a machine and a user whose names are their own."""
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
def test_what_is_private_becomes_a_placeholder(scrub: Scrub, text: str, published: str) -> None:
    """Places, names, addresses and secrets, wherever they stand in a text."""
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
def test_the_labs_own_words_stay(scrub: Scrub, text: str) -> None:
    """Labels, figures, versions, times, loopback."""
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
def test_a_reason_loses_what_it_quotes(scrub: Scrub, reason: str, published: str) -> None:
    """The lab's sentence and the exception's type stay, a message or a log line does not."""
    assert scrub.reason(reason).startswith(published)
    assert "hunter2" not in scrub.reason(reason)


def test_settings_stay_json(scrub: Scrub) -> None:
    """Numbers and names stay, also of what is called a token; secrets and paths do not."""
    settings = {
        "token_ttl": 500,
        "password": "hunter2",
        "broker": {"url": "redis://:hunter2@127.0.0.1:1/0", "dirs": [f"/home/{USER}/x"]},
        "loop": "asyncio.unix_events._UnixSelectorEventLoop",
    }
    text = scrub.settings(json.dumps(settings))
    assert "hunter2" not in text
    found = json.loads(text)
    assert found["token_ttl"] == 500
    assert found["broker"]["dirs"] == ["<home>"]
    assert found["loop"] == settings["loop"]


def texts(package: Path) -> dict[str, str]:
    """Every file of a package as text; tables of tasks as CSV."""
    found = {}
    for file in sorted(f for f in package.rglob("*") if f.is_file()):
        name = file.relative_to(package).as_posix()
        if file.suffix == ".parquet":
            found[name] = pd.read_parquet(file).to_csv()
        elif file.suffix != ".png":
            found[name] = file.read_text(encoding="utf-8")
    return found


def test_a_function_that_tells_secrets_is_published_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prints and raises a token, a path, the host's and the user's name: none is in a file."""
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.setattr(getpass, "getuser", lambda: USER)
    chosen = [
        "-b",
        "thread-pool",
        "-b",
        "process-pool",
        "--task",
        "tests.factories.user_tasks:tells",
    ]
    small = ["--arrival", "burst", "--tasks", "20", "--blocks", "1", "--cores", "1"]
    where = ["--provider", "local", "--allow-dirty", "--results", str(tmp_path)]
    main(["bench", *chosen, *small, *where, "--tables-only", "--allow-errors"])
    (run,) = (tmp_path / "runs").iterdir()
    reasons = "".join(pd.read_csv(run / "trial.csv").reason.dropna())
    assert SECRETS["token"] in reasons  # who measures sees it
    target = tmp_path / "package"
    assert main(["publish", str(run), "--to", str(target)]) == 0
    for name, text in texts(target).items():
        for secret in (*SECRETS.values(), str(tmp_path)):
            assert secret not in text, name
    published = pd.read_csv(target / "trial.csv").reason
    assert published.str.contains("RuntimeError").all()


def test_every_text_of_a_foreign_run_is_scrubbed_and_escaped(tmp_path: Path) -> None:
    """Reason, settings, services, command, flags, environment, preset: whatever they hold."""
    tables = dict(campaigns.campaign.__wrapped__(SMALL))
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
