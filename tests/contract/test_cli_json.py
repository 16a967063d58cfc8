"""Every command with ``--json``, in a process of its own: standard output is JSON and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from flask import Flask

import shapeshifter_uftp.cli
from flexmeasures.cli import cli

PROGRAMS = {"flexmeasures": cli, "shapeshifter_uftp": shapeshifter_uftp.cli.main}

NOW = ("--now", "2015-01-01T00:00Z")
SLOT = ("--start", "2015-01-01T18:00Z", "--up-price", "50", *NOW)

# What each command needs to be told; BATTERY, CURVE and JOURNAL stand for what the test makes.
ARGUMENTS = {
    "flexmeasures add community": ("--name", "Sunny Street", "--profile", "es"),
    "flexmeasures add openadr-client": ("--client-id", "ven-of-the-test", "--role", "ven"),
    "flexmeasures coordination deliveries": (),
    "flexmeasures coordination late-acknowledgements": (),
    "flexmeasures coordination missing-reports": (),
    "flexmeasures coordination send-curve": ("CURVE", "--program", "Solar surplus"),
    "flexmeasures coordination settlement": (),
    "flexmeasures jobs show": (),
    "flexmeasures monitor latest-data": (),
    "flexmeasures monitor tasks": (),
    "flexmeasures order place": ("--asset", "BATTERY", *SLOT),
    "flexmeasures show accounts": (),
    "flexmeasures show accuracy": ("--sensor", "BATTERY"),
    "flexmeasures show annotations": (),
    "flexmeasures show assets": (),
    "flexmeasures show audit-log": (),
    "flexmeasures show beliefs": ("--sensor", "BATTERY"),
    "flexmeasures show markets": (),
    "flexmeasures show order-book": ("--asset", "BATTERY", *SLOT),
    "flexmeasures show orders": ("--asset", "BATTERY", *NOW),
    "flexmeasures show schedule": ("--asset", "BATTERY"),
    "flexmeasures show sensors": (),
    "flexmeasures show settlement": ("--asset", "BATTERY", *NOW),
    "flexmeasures show sources": (),
    "flexmeasures show storage": (),
    "flexmeasures show upstreams": (),
    "flexmeasures show users": (),
    "shapeshifter_uftp demo": (),
    "shapeshifter_uftp status": ("--domain", "agr.example", "--role", "AGR", "--journal", "JOURNAL"),
}
# Commands about a community that somebody has set up: test_community_commands parses what they write; and about a site.
# And commands that need a job, or end with status 1 here: test_cli_operations parses what they write.
ELSEWHERE = {
    "flexmeasures add distribution-table",
    "flexmeasures add emission-factor",
    "flexmeasures add invoice",
    "flexmeasures add member",
    "flexmeasures add plant",
    "flexmeasures add service",
    "flexmeasures add supply-point",
    "flexmeasures communities check-proximity",
    "flexmeasures communities differences",
    "flexmeasures communities export-keys",
    "flexmeasures communities import-report",
    "flexmeasures communities premium",
    "flexmeasures communities propose-coefficients",
    "flexmeasures communities schedule-battery",
    "flexmeasures jobs inspect",
    "flexmeasures monitor alerts",
    "flexmeasures monitor last-seen",
    "flexmeasures coordination send-congestion-curve",  # test_cli_coordination
    "flexmeasures show community-metrics",
    "flexmeasures show site",
}
LINES = {"shapeshifter_uftp demo"}  # one JSON value a line, as documented


def _find_json_commands(command: click.Command, words: str) -> Iterator[str]:
    if any("--json" in parameter.opts for parameter in command.params):
        yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _find_json_commands(command.get_command(context, name), f"{words} {name}")


COMMANDS = sorted(words for name, group in PROGRAMS.items() for words in _find_json_commands(group, name))


def _run(app: Flask, *words: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("FLASK", "FLEX"))
    }
    environment |= {
        "FLEXMEASURES_INSTANCE_PATH": app.config["FLEXMEASURES_INSTANCE_PATH"],
        "FLEXMEASURES_MODE": "play",
    }
    done = subprocess.run(
        [sys.executable, "-m", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_with_json_are_found():
    """Commands on every level of both programs are found: a list without them would test nothing."""
    assert {"flexmeasures show schedule", "shapeshifter_uftp status"} <= set(COMMANDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ELSEWHERE])
def test_standard_output_is_json(app, cast, tmp_path, command):
    """With --json a program reads standard output as it is: no banner of a solver, no greeting, no NaN."""
    assert command in ARGUMENTS, "say in ARGUMENTS what this command needs to be told"
    made = {"BATTERY": str(cast.assets["battery"]), "JOURNAL": str(tmp_path / "journal.sqlite")}
    made["CURVE"] = str(tmp_path / "curve.csv")
    (tmp_path / "curve.csv").write_text("start,price\n2015-01-02T12:00+00:00,-0.4\n")
    (tmp_path / "journal.sqlite").touch()
    words = [made.get(word, word) for word in ARGUMENTS[command]]
    if command.startswith("flexmeasures"):
        window = ("--start", "2015-01-01T00:00Z", "--horizon", "PT48H")
        _run(app, "flexmeasures", "add", "schedules", "--asset", made["BATTERY"], *window)
    written = _run(app, *command.split(), *words, "--json")
    for text in written.splitlines() if command in LINES else [written]:
        assert json.loads(text, parse_constant=pytest.fail) is not None
