"""The files for servers name commands and settings that there are, and the programs that read them accept them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from packaging.utils import canonicalize_name

from flexmeasures.cli import cli
from flexmeasures.jobs.queues import QUEUE_NAMES
from flexmeasures.settings import SETTINGS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
COMPOSITION = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNITS = sorted(DEPLOY.glob("systemd/*"))


def find_command(words):
    """Find the command that words call, the way the command line does."""
    command, context = cli, click.Context(cli)
    while words and isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
        assert command is not None
    return command, words


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_and_queues_exist(path):
    """Each `flexmeasures …` that a file calls is a command, with options that it has; each queue is one."""
    text = re.sub(r'", "', " ", path.read_text())
    for call in re.findall(r"(?:bin/|\[\"|&& |\"sh\" \"-c\" \")flexmeasures ([a-z@][^\"&\n\]]*)", text):
        command, rest = find_command(call.split())
        options = {name for one in command.params for name in one.opts}
        assert {word for word in rest if word.startswith("--")} <= options, call
        for queues in re.findall(r"--queue (\S+)", call):
            assert set(queues.split("|")) == set(QUEUE_NAMES)


def test_settings_of_the_composition_exist():
    """Each setting of the composition is one of ours."""
    names = {setting.name for setting in SETTINGS}
    for name in ("web", "worker", "streams", "prepare"):
        assert set(COMPOSITION["services"][name]["environment"]) <= names


def test_the_composition_is_whole():
    """Each service that another one waits for exists, each image has a version, and every volume is declared."""
    services = COMPOSITION["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert ":" in service["image"] or "build" in service, name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith("./") or source in COMPOSITION["volumes"], name
    assert (DEPLOY / "nginx/flexmeasures.conf").is_file()
    upstream = (DEPLOY / "nginx/flexmeasures.conf").read_text()
    for host in re.findall(r"server (\w+):\d+;", upstream):
        assert host in services


def test_the_image_installs_what_there_is():
    """The image installs extras that there are, from the lock, and asks an address that there is."""
    text = (DEPLOY / "Dockerfile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = re.search(r"'\.\[([\w,]+)\]'", text)[1].split(",")
    assert {canonicalize_name(one) for one in wanted} <= set(extras)
    assert "--constraint constraints.txt" in text
    assert "/health/ready" in text


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_right(path, tmp_path):
    """Systemd reads each unit without a complaint, but for programs that are not installed here."""
    for unit in UNITS:
        text = re.sub(r"(Exec\w+=)/opt/flexmeasures/bin/", r"\1/bin/true ", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    name = path.name.replace("@.", "@1.")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "flexmeasures" in line]
    assert told == []
    assert re.search(
        r"^\[Unit\]\nDescription=", path.read_text().partition("# ")[0] or path.read_text(), re.MULTILINE
    )
