"""Plugins: the showcase of the documentation as it stands there, and folders that are not plugins."""

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
    """A folder that is not a plugin is named in a warning, and the next one is loaded."""
    broken = make_plugin("broken", code)
    made = make_app(broken, make_plugin("our_client", SHOWCASE, TEMPLATE))
    assert told in caplog.text
    assert broken in caplog.text
    assert list(made.config["LOADED_PLUGINS"]) == ["our_client"]


@pytest.mark.parametrize(
    ("code", "told", "line"),
    [
        pytest.param("import flask\n\nfoo(\n", "SyntaxError", 3, id="syntax"),
        pytest.param(
            "a = 1\nb = undefined_name\n", "NameError: name 'undefined_name' is not defined", 2, id="name"
        ),
        pytest.param("\n\nimport no_such_module\n", "No module named 'no_such_module'", 3, id="import"),
        pytest.param("def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError", 2, id="deeper"),
        pytest.param("import sys\nsys.exit(3)\n", "SystemExit", 2, id="exit"),
        pytest.param("raise KeyError('x')\n", "KeyError", 1, id="key"),
    ],
)
def test_a_faulty_plugin_is_named_and_the_rest_goes_on(make_plugin, make_app, caplog, code, told, line):
    """A plugin whose code fails is named with the fault, its file and line; the next one and the platform work."""
    broken = make_plugin("broken", code)
    made = make_app(broken, make_plugin("our_client", SHOWCASE, TEMPLATE))
    assert "The plugin broken is not loaded" in caplog.text
    assert told in caplog.text
    assert f"{broken}/__init__.py, line {line}" in caplog.text
    assert list(made.config["LOADED_PLUGINS"]) == ["our_client"]
    assert made.test_client().get("/api/").status_code == 200


def test_a_fault_in_another_file_of_a_plugin_is_named_there(
    make_plugin, make_app, caplog, tmp_path, monkeypatch
):
    """The file that is named is that of the plugin in which it went wrong, not the one that imports it."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "broken")])
    broken = make_plugin("broken", "\nimport broken_part\n")
    (tmp_path / "broken" / "broken_part.py").write_text("\n\n\nundefined_name\n")
    make_app(broken)
    assert f"{broken}/broken_part.py, line 4" in caplog.text


def test_a_blueprint_that_cannot_be_registered_is_named(make_plugin, make_app, caplog):
    """A Blueprint with the name of one that there is already is a fault of the plugin as well."""
    code = "from flask import Blueprint\ntwin_bp = Blueprint('security', 'twin')\n"
    made = make_app(make_plugin("twin", code))
    assert "The plugin twin is not loaded: ValueError" in caplog.text
    assert made.config["LOADED_PLUGINS"] == {}


def test_a_plugin_listed_twice_is_loaded_once(make_plugin, make_app, caplog):
    """A plugin that is listed twice, however it is written, is loaded once, and that is said."""
    path = make_plugin("our_client", SHOWCASE, TEMPLATE)
    made = make_app(path, path + "/")
    assert list(made.config["LOADED_PLUGINS"]) == ["our_client"]
    assert "listed twice" in caplog.text


def test_two_plugins_of_one_name_do_not_replace_each_other(make_plugin, make_app, tmp_path, caplog):
    """Of two folders with the same name the first is loaded; the other is named with what to do."""
    path = make_plugin("our_client", SHOWCASE, TEMPLATE)
    other = tmp_path / "elsewhere" / "our_client"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text(SHOWCASE)
    made = make_app(path, str(other))
    assert list(made.config["LOADED_PLUGINS"]) == ["our_client"]
    assert str(other) in caplog.text
    assert "Rename" in caplog.text


@pytest.mark.parametrize("name", ["json", "flexmeasures"])
def test_a_plugin_cannot_take_the_name_of_a_module(make_app, tmp_path, caplog, name):
    """A folder with the name of a module that others import is refused instead of standing in its place."""
    module = sys.modules[name]
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    make_app(str(tmp_path / name))
    assert "Rename the folder" in caplog.text
    assert sys.modules[name] is module


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
