"""Plugins: the showcase of the documentation as it stands there, and folders that are no plugins."""

import sys

import pytest
from click.testing import CliRunner
from flask.cli import ScriptInfo

from flexmeasures import cli
from flexmeasures.app import create

SHOWCASE = """
from flask import Blueprint, render_template, abort

from flask_security import login_required
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template


our_client_bp = Blueprint('our_client', 'our_client',
                          template_folder='templates')

# Showcase: Adding a view

@our_client_bp.route('/metrics')
@login_required
def metrics():
    msg = "I am part of FM !"
    # Note that we render via the in-built FlexMeasures way
    return render_flexmeasures_template(
        "metrics.html",
        message=msg,
    )

# Showcase: Adding a CLI command

import click
from flask import current_app
from flask.cli import with_appcontext

our_client_bp.cli.help = "Our client commands"

@our_client_bp.cli.command("test")
@with_appcontext
def oc_test():
    print(f"I am a CLI command, part of FlexMeasures: {current_app}")
"""

TEMPLATE = """
{% extends "base.html" %}
{% block title %}Metrics{% endblock %}
{% block content %}<p id="metrics">{{ message }} {{ user_name }}</p>{% endblock %}
"""


@pytest.fixture
def make_plugin(tmp_path):
    """Write plugins into folders, and forget their modules afterwards."""
    names = []

    def make(name, code=None, template=None):
        folder = tmp_path / name
        folder.mkdir()
        names.append(name)
        if code is not None:
            (folder / "__init__.py").write_text(code)
        if template is not None:
            (folder / "templates").mkdir()
            (folder / "templates" / "metrics.html").write_text(template)
        return str(folder)

    yield make
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def make_app(app):
    """Make an application with plugins, on the same servers."""

    def make(*paths):
        settings = {"FLEXMEASURES_INSTANCE_PATH": app.instance_path, "FLEXMEASURES_PLUGIN_PATHS": list(paths)}
        return create("testing", settings=settings)

    return make


@pytest.fixture
def showcase(make_plugin, make_app):
    """An application with the plugin of the documentation."""
    return make_app(make_plugin("our_client", SHOWCASE, TEMPLATE))


def test_the_view_of_the_showcase_asks_for_a_login(showcase, cast):
    """Strangers are sent to the login page and back."""
    answer = showcase.test_client().get("/metrics")
    assert answer.status_code == 302
    assert answer.location == "/login?next=/metrics"


def test_the_view_of_the_showcase_is_part_of_the_platform(showcase, cast):
    """Who has logged in sees the plugin's template in the frame of the platform, with the standard variables."""
    client = showcase.test_client()
    client.post("/login?next=/metrics", data={"email": cast.owner_email, "password": cast.password})
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert '<p id="metrics">I am part of FM ! owner</p>' in answer.text
    assert "<title>Metrics - FlexMeasures</title>" in answer.text


def test_the_command_of_the_showcase_knows_the_app(showcase, monkeypatch):
    """`flexmeasures our_client test` runs within the app, and `flexmeasures --help` lists the plugin."""
    monkeypatch.setattr(cli, "_may_have_plugins", lambda: True)
    monkeypatch.setattr(cli, "_create_app", lambda *_: showcase)
    runner = CliRunner()
    answer = runner.invoke(cli.cli, ["our_client", "test"])
    assert answer.output == "I am a CLI command, part of FlexMeasures: <Flask 'flexmeasures'>\n"
    info = ScriptInfo(create_app=lambda *_: showcase)
    listed = runner.invoke(cli.cli, ["--help"], obj=info)
    assert "our_client" in listed.output
    assert "Our client commands" in listed.output


def test_plugins_are_known_with_their_versions(make_plugin, make_app):
    """An app knows which plugins it has loaded; one that does not tell its version has 0.1."""
    plain = "from flask import Blueprint\n{0}_bp = Blueprint('{0}', '{0}')\n"
    paths = [
        make_plugin("first_plugin", plain.format("first_plugin")),
        make_plugin("second_plugin", plain.format("second_plugin") + "__version__ = '2.5'\n"),
    ]
    assert make_app(*paths).config["LOADED_PLUGINS"] == {"first_plugin": "0.1", "second_plugin": "2.5"}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        pytest.param(None, "no __init__.py", id="an empty folder"),
        pytest.param("broken_bp = 7", "no Blueprint called broken_bp", id="a number for a Blueprint"),
        pytest.param("", "no Blueprint called broken_bp", id="no Blueprint"),
    ],
)
def test_what_is_no_plugin_does_not_stop_the_next(make_plugin, make_app, caplog, code, told):
    """A folder that is no plugin is named in a warning, and the next one is loaded."""
    broken = make_plugin("broken", code)
    made = make_app(broken, make_plugin("our_client", SHOWCASE, TEMPLATE))
    assert told in caplog.text
    assert broken in caplog.text
    assert list(made.config["LOADED_PLUGINS"]) == ["our_client"]


def test_a_slash_at_the_end_makes_no_difference(make_plugin, make_app):
    """The name of a plugin is that of its folder, however the path is written."""
    made = make_app(make_plugin("our_client", SHOWCASE, TEMPLATE) + "/")
    assert list(made.config["LOADED_PLUGINS"]) == ["our_client"]


def test_plugins_may_use_other_files(make_plugin, make_app, tmp_path, monkeypatch):
    """As documented, a plugin that puts its folder on the import path can import its other files."""
    code = """
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from my_other_file import my_function
from flask import Blueprint

filed_bp = Blueprint('filed', 'filed')
filed_bp.route('/filed')(my_function)
"""
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = make_plugin("filed", code)
    (tmp_path / "filed" / "my_other_file.py").write_text(
        "def my_function():\n    return 'from another file'\n"
    )
    assert make_app(path).test_client().get("/filed").text == "from another file"
    del sys.modules["my_other_file"]
