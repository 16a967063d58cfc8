"""Commands that need the stores alone begin without the APIs and pages, unless plugins need these."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

SCRIPT = """
import sys
from flexmeasures.cli import cli
cli(sys.argv[1:], standalone_mode=False)
print("doors:", "flexmeasures.app" in sys.modules)
"""


def _run(app: Flask, *words: str, **settings: str) -> str:
    environment = {
        **os.environ,
        "FLASK_ENV": "testing",
        "FLEXMEASURES_INSTANCE_PATH": app.instance_path,
        **settings,
    }
    command = [sys.executable, "-c", SCRIPT, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("words", "doors"), [("show storage --json", False), ("routes", True)])
def test_commands_load_what_they_need(app: Flask, words: str, doors: bool) -> None:
    """Showing needs no routes; listing the routes does."""
    assert f"doors: {doors}" in _run(app, *words.split())


def test_plugins_get_the_whole_application(app: Flask, tmp_path: Path) -> None:
    """A plugin may use any part of the application in its jobs and commands, so nothing is left out then."""
    plugin = tmp_path / "small_plugin"
    plugin.mkdir()
    (plugin / "__init__.py").write_text(
        "from flask import Blueprint\nsmall_plugin_bp = Blueprint('small_plugin', __name__)\n"
    )
    settings = {"FLASK_ENV": "development", "FLEXMEASURES_PLUGIN_PATHS": json.dumps([str(plugin)])}
    output = _run(app, "show", "storage", "--json", **settings)
    assert "doors: True" in output
