"""Tests that the commands of the report page can be typed as they are."""

from __future__ import annotations

import re
from dataclasses import replace

from lab.figures import FIGURES
from lab.report.page import render
from tests.factories.campaigns import SMALL, campaign


def test_each_command_of_the_page_names_the_function_of_the_user() -> None:
    """A command without it would measure no-ops, or be refused."""
    tables = dict(campaign(replace(SMALL, blocks=2)))
    typed = """bench --task shop:resize --args '["<b>"]'"""
    tables["campaign"] = tables["campaign"].assign(command=typed)
    for name in ("trial", "estimate", "trend"):
        tables[name] = tables[name].assign(workload='shop:resize["<b>"]')
    trials = tables["trial"]
    # A disturbed trial has the command that repeats the plan.
    tables["trial"] = trials.assign(
        flag=trials["flag"].mask(trials["backend"] == "rq", "disturbed")
    )
    text = render(tables, dict.fromkeys(FIGURES.values()))
    commands = [
        command
        for command in re.findall(r"<code>([^<]*)</code>", text)
        if re.match(r"(lab (bench|reproduce)|nox -s bench) ", command)
    ]
    options = "--task shop:resize --args &#39;[&#34;&lt;b&gt;&#34;]&#39;"
    assert any("--like" in command for command in commands)
    assert [command for command in commands if options not in command] == []
    rows = re.findall(r'data-trial="([^"]*)"', text)
    assert rows
    assert all(row.endswith(options) for row in rows)
    plain = render(campaign(SMALL), dict.fromkeys(FIGURES.values()))
    assert "--task" not in plain
