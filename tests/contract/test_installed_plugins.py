"""Plugins that were installed with pip, the settings that plugins declare, and the template for plugins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from flexmeasures.app import create
from flexmeasures.installed_plugins import find_installed_plugins, may_be_installed

ROOT = Path(__file__).parents[2]
PLAIN = """
from flask import Blueprint, current_app

boiler_room_bp = Blueprint("boiler_room", __name__)

@boiler_room_bp.route("/boiler-room")
def show():
    return str(current_app.config.get("BOILER_ROOM_LIMIT"))
"""


def run(*words: str, **options) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with a plugin, as pip lays it down, and forget it afterwards."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(code, entry_point="boiler_room", name="boiler_room", version="1.4"):
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[flexmeasures.plugins]\n{name} = {entry_point}\n")
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "__init__.py").write_text(code)
        return tmp_path / name

    yield put
    for name in [name for name in sys.modules if name.partition(".")[0] in ("boiler_room", "broken")]:
        del sys.modules[name]


@pytest.fixture
def make_app(app):
    """Make an application on the same servers."""

    def make(**settings) -> Flask:
        return create("testing", settings={"FLEXMEASURES_INSTANCE_PATH": app.instance_path, **settings})

    return make


@pytest.mark.parametrize("entry_point", ["boiler_room", "boiler_room:boiler_room_bp"])
def test_an_installed_plugin_is_loaded(install, make_app, entry_point):
    """Installing is enough, whether the entry point names the module or the Blueprint; its version is the package's."""
    install(PLAIN, entry_point)
    made = make_app()
    assert made.config["LOADED_PLUGINS"] == {"boiler_room": "1.4"}
    assert made.test_client().get("/boiler-room").status_code == 200


def test_operators_choose_among_installed_plugins(install, make_app, caplog):
    """FLEXMEASURES_INSTALLED_PLUGINS names those that are loaded; a name that is not installed is told."""
    install(PLAIN)
    assert make_app(FLEXMEASURES_INSTALLED_PLUGINS=[]).config["LOADED_PLUGINS"] == {}
    made = make_app(FLEXMEASURES_INSTALLED_PLUGINS=["boiler_room", "boyler_room"])
    assert made.config["LOADED_PLUGINS"] == {"boiler_room": "1.4"}
    assert "No installed package has a plugin boyler_room" in caplog.text


@pytest.mark.parametrize(
    ("code", "told", "line"),
    [
        pytest.param("a = 1\nb = (\n", "SyntaxError", 2, id="syntax"),
        pytest.param("\n\nimport no_such_module\n", "ModuleNotFoundError", 3, id="import"),
        pytest.param("def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError", 2, id="deeper"),
    ],
)
def test_a_faulty_installed_plugin_is_named(install, make_app, caplog, code, told, line):
    """The fault is told with plugin, file and line; other plugins and the platform work."""
    folder = install(code, "broken", "broken")
    install(PLAIN)
    made = make_app()
    assert f"The plugin broken is not loaded: {told}" in caplog.text
    assert f"{folder}/__init__.py, line {line}" in caplog.text
    assert made.config["LOADED_PLUGINS"] == {"boiler_room": "1.4"}
    assert made.test_client().get("/api/").status_code == 200


def test_an_entry_point_to_nothing_is_named(install, make_app, caplog):
    """A package whose entry point names a module or Blueprint that is not there does not stop the start."""
    install(PLAIN, "boiler_cellar")
    install(PLAIN, "broken:missing_bp", "broken")
    assert make_app().config["LOADED_PLUGINS"] == {}
    assert "The plugin boiler_room is not loaded: ModuleNotFoundError" in caplog.text
    assert "The plugin broken is not loaded: AttributeError" in caplog.text


def test_a_listed_folder_comes_before_an_installed_plugin(install, make_app, tmp_path, caplog):
    """A folder of FLEXMEASURES_PLUGIN_PATHS stands in for the installed plugin of its name; one folder counts once."""
    installed = install(PLAIN)
    other = tmp_path / "checkout" / "boiler_room"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text(PLAIN + "\n__version__ = '2.0'\n")
    assert make_app(FLEXMEASURES_PLUGIN_PATHS=[str(other)]).config["LOADED_PLUGINS"] == {"boiler_room": "2.0"}
    assert "gives way" in caplog.text
    caplog.clear()
    assert make_app(FLEXMEASURES_PLUGIN_PATHS=[str(installed)]).config["LOADED_PLUGINS"] == {
        "boiler_room": "0.1"
    }
    assert "gives way" not in caplog.text


def test_the_quick_look_agrees_with_the_metadata(install):
    """Commands ask, without reading all metadata, whether plugins may be installed; both ways find the same."""
    assert may_be_installed() is bool(find_installed_plugins(None))
    install(PLAIN)
    assert may_be_installed() is True
    assert "boiler_room" in [point.name for point in find_installed_plugins(None)]


def test_a_fault_in_a_page_names_the_plugin(install, make_app, caplog):
    """A view that fails is answered with a number, and the log names its plugin beside it."""
    install(PLAIN + "\n@boiler_room_bp.route('/hot')\ndef hot():\n    raise RuntimeError('too hot')\n")
    made = make_app()
    made.config["PROPAGATE_EXCEPTIONS"] = False
    answer = made.test_client().get("/hot")
    assert answer.status_code == 500
    assert "too hot" not in answer.text
    assert "at /hot in the plugin boiler_room" in caplog.text


def declare(**fields):
    """A plugin that declares the setting BOILER_ROOM_LIMIT."""
    return f"{PLAIN}\n__settings__ = {{'BOILER_ROOM_LIMIT': {fields!r}}}\n".replace(
        "\"<class 'int'>\"", "int"
    )


def test_a_declared_setting_has_its_default(install, make_app):
    """Who sets nothing gets the default of the plugin."""
    install(declare(default=60, parse_as="<class 'int'>"))
    assert make_app().test_client().get("/boiler-room").text == "60"


def test_a_declared_setting_is_parsed(install, make_app, caplog):
    """A text becomes what the plugin asks for; what cannot is told, and the plugin is not loaded."""
    install(declare(default=60, parse_as="<class 'int'>"))
    assert make_app(BOILER_ROOM_LIMIT="70").test_client().get("/boiler-room").text == "70"
    assert make_app(BOILER_ROOM_LIMIT="hot").config["LOADED_PLUGINS"] == {}
    assert "BOILER_ROOM_LIMIT is set to 'hot'" in caplog.text


@pytest.mark.parametrize(
    ("level", "loaded", "told"), [("error", False, True), ("warning", True, True), ("debug", True, False)]
)
def test_a_missing_setting_is_told_as_its_plugin_wants(install, make_app, caplog, level, loaded, told):
    """Without a setting of level error the plugin is not loaded; with warning, a note says what is missing."""
    install(declare(level=level, message_if_missing="Boilers will not be limited."))
    assert ("boiler_room" in make_app(LOGGING_LEVEL=30).config["LOADED_PLUGINS"]) is loaded
    assert ("Boilers will not be limited." in caplog.text) is told


@pytest.mark.parametrize(
    "settings", ["['BOILER_ROOM_LIMIT']", "{'limit': {}}", "{'BOILER_ROOM_LIMIT': {'level': 'loud'}}"]
)
def test_a_wrong_declaration_is_named(install, make_app, caplog, settings):
    """What is not a declaration of settings is told with the rule."""
    install(f"{PLAIN}\n__settings__ = {settings}\n")
    assert make_app().config["LOADED_PLUGINS"] == {}
    assert "The plugin boiler_room is not loaded: SettingsError: __settings__ of boiler_room" in caplog.text


def test_the_environment_sets_what_plugins_declare(install, tmp_path):
    """Out of tests, a declared setting is read from the environment, like those of the platform."""
    install(declare(default=60, parse_as="<class 'int'>"))
    code = "from flexmeasures.app import create; print('limit', create().config['BOILER_ROOM_LIMIT'] + 1)"
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "FLASK_ENV": "development",
        "FLEXMEASURES_INSTANCE_PATH": str(tmp_path / "instance"),
        "BOILER_ROOM_LIMIT": "75",
    }
    done = run(sys.executable, "-c", code, env=environment)
    assert "limit 76" in done.stdout, done.stderr


def test_the_template_for_plugins_works(tmp_path):
    """The folder examples/plugin, installed with pip elsewhere, passes its own tests of all that it brings."""
    source, site = tmp_path / "plugin", tmp_path / "site"
    listed = run("git", "ls-files", "-co", "--exclude-standard", "examples/plugin", cwd=ROOT)
    for name in listed.stdout.split():
        target = source / Path(name).relative_to("examples/plugin")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    done = run(*pip, "--target", str(site), str(source))
    assert done.returncode == 0, done.stderr
    tests = (sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "tests")
    done = run(*tests, cwd=source, env={**os.environ, "PYTHONPATH": str(site)})
    assert re.search(r"^6 passed", done.stdout, re.MULTILINE), done.stdout + done.stderr
