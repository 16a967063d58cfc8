"""Where settings come from, and which source wins."""

import logging
import os
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner

from flexmeasures import cli
from flexmeasures.app import create
from flexmeasures.cli import demo
from flexmeasures.secret_key import provide_secret_key
from flexmeasures.setting_sources import ENVIRONMENTS, load_settings, read_environment
from flexmeasures.setting_types import SettingsError

NAME = "FLEXMEASURES_PLATFORM_NAME"
STRONG = "tZ3q-8Wm_kJ0vL5xR2nB"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A home folder, a working folder and an instance folder, all empty, and an environment without settings."""
    for name in ("home", "work", "instance"):
        (tmp_path / name).mkdir()
    for name in [
        n for n in os.environ if n.startswith(("FLEXMEASURES_", "FLASK_", "SQLALCHEMY_", "SECRET_"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    log = logging.getLogger("flexmeasures")
    monkeypatch.setattr(log, "handlers", list(log.handlers))
    monkeypatch.setattr(log, "level", log.level)
    return tmp_path


def write(places, which, name, value):
    """Set a setting in one of the places."""
    line = f"{name} = {value!r}\n"
    if which == "home":
        (places / "home" / ".flexmeasures.cfg").write_text(line)
    elif which == "instance":
        (places / "instance" / "flexmeasures.cfg").write_text(line)
    else:
        (places / "work" / which).write_text(line)


def load(places, env="production"):
    """Load the settings."""
    return load_settings(env, places / "instance")


def test_later_sources_win(places, monkeypatch):
    """Defaults, home file, instance file, .flaskenv, .env, environment: each wins over those before it."""
    assert load(places)[0][NAME] == "FlexMeasures"
    for which in ("home", "instance", ".flaskenv", ".env"):
        write(places, which, NAME, f"from {which}")
        assert load(places)[0][NAME] == f"from {which}"
    monkeypatch.setenv(NAME, "from the environment")
    assert load(places)[0][NAME] == "from the environment"
    monkeypatch.setenv(NAME, "")
    assert load(places)[0][NAME] == "from instance"  # set to nothing counts as not set, also over the files


def test_a_file_of_ones_own_replaces_the_usual_ones(places):
    """A named configuration file is read instead of the usual two; it must exist."""
    write(places, "home", NAME, "from home")
    own = places / "own.cfg"
    own.write_text(f"{NAME} = 'my own'\nFLEXMEASURES_DEMO_YEAR = 2015")
    values, _ = load_settings("production", places / "instance", own)
    assert (values[NAME], values["FLEXMEASURES_DEMO_YEAR"]) == ("my own", 2015)
    with pytest.raises(SettingsError, match=r"no configuration file .*missing\.cfg"):
        load_settings("production", places / "instance", places / "missing.cfg")


def test_files_are_python(places):
    """A configuration file may compute its values, and keeps settings of plugins and extensions."""
    (places / "home" / ".flexmeasures.cfg").write_text(
        "from datetime import timedelta\nhours = 6\n"
        "FLEXMEASURES_PLANNING_HORIZON = timedelta(hours=hours)\nOUR_CLIENT_COLOUR = 'green'\n"
    )
    values, warnings = load(places)
    assert values["FLEXMEASURES_PLANNING_HORIZON"].total_seconds() == 6 * 3600
    assert values["OUR_CLIENT_COLOUR"] == "green"
    assert "hours" not in values
    assert warnings == []


@pytest.mark.parametrize("content", ["DEBUG = ", "1 / 0", "import no_such_module"])
def test_broken_files_are_named(places, content):
    """A configuration file that cannot be run is named, with the reason."""
    (places / "instance" / "flexmeasures.cfg").write_text(content)
    with pytest.raises(SettingsError, match=r"instance.flexmeasures\.cfg cannot be read: \w+"):
        load(places)


@pytest.mark.parametrize("which", ["home", "instance", ".env"])
def test_wrong_values_are_refused_wherever_they_stand(places, which):
    """A value of a wrong type is named, from files as from the environment."""
    write(places, which, "MAIL_PORT", "smtp")
    with pytest.raises(SettingsError, match="MAIL_PORT is set to 'smtp'"):
        load(places)


def test_unknown_names_are_warned_about(places, monkeypatch):
    """A name of ours that is not a setting is named in a warning, with the one that was probably meant."""
    monkeypatch.setenv("FLEXMEASURES_TIMEZON", "Europe/Amsterdam")
    monkeypatch.setenv("FLEXMEASURES_NO_SUCH_THING", "1")
    monkeypatch.setenv("TIMEZONE", "not ours")
    write(places, "home", "SECRETKEY", "nearly")
    _, warnings = load(places)
    told = "\n".join(warnings)
    assert len(warnings) == 3
    assert "FLEXMEASURES_TIMEZON, set in the environment, is not a setting" in told
    assert "Did you mean FLEXMEASURES_TIMEZONE?" in told
    assert "Did you mean SECRET_KEY?" in told
    assert "FLEXMEASURES_NO_SUCH_THING, set in the environment, is not a setting of FlexMeasures." in warnings


def test_tests_mean_the_same_everywhere(places, monkeypatch):
    """In testing only the defaults count."""
    write(places, "home", NAME, "from home")
    monkeypatch.setenv(NAME, "from the environment")
    assert load(places, "testing")[0][NAME] == "FlexMeasures"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_environments_have_their_defaults(places, env):
    """HTTPS is insisted on in production and staging, and debugging is on in development."""
    values, _ = load(places, env)
    assert values["FLEXMEASURES_FORCE_HTTPS"] == (env in ("production", "staging"))
    assert values["DEBUG"] == (env == "development")


def test_other_environments_are_refused(places):
    """A wrong name of an environment is refused with those that there are."""
    with pytest.raises(SettingsError, match=r"'prod'.*staging, production"):
        load(places, "prod")


def test_env_files_choose_environment_and_instance(places, monkeypatch):
    """As in the quickstart, FLASK_ENV may stand in .env; and so may the instance folder."""
    folder = places / "elsewhere"
    (places / "work" / ".env").write_text(f"FLASK_ENV=development\nFLEXMEASURES_INSTANCE_PATH={folder}\n")
    assert read_environment()["FLASK_ENV"] == "development"
    made = create()
    assert (made.config["ENV"], made.instance_path) == ("development", str(folder))
    monkeypatch.setenv("FLASK_ENV", "staging")
    assert create().config["ENV"] == "staging"


def test_a_secret_key_is_made_once(places):
    """With the embedded database a strong key is made at the first start, and kept where only its owner reads it."""
    values, _ = load(places)
    folder = places / "instance"
    key = provide_secret_key(values, "production", folder)
    assert len(key) >= 32
    assert provide_secret_key(values, "production", folder) == key
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret_key"]
    other = provide_secret_key(values, "production", places / "work" / "new")
    assert other != key


def test_a_secret_key_that_is_set_wins(places, monkeypatch):
    """A key that was set is used, and none is made."""
    monkeypatch.setenv("SECRET_KEY", STRONG)
    values, _ = load(places)
    assert provide_secret_key(values, "production", places / "instance") == STRONG
    assert not (places / "instance" / "secret_key").exists()


def test_an_own_database_needs_an_own_key(places, monkeypatch):
    """With a database of one's own no key is made: the message says how to make one and where to put it."""
    monkeypatch.setenv("SQLALCHEMY_DATABASE_URI", "postgresql://u@h/d")
    values, _ = load(places)
    folder = places / "instance"
    with pytest.raises(SettingsError, match="SECRET_KEY is not set") as refused:
        provide_secret_key(values, "production", folder)
    for hint in ("secrets.token_urlsafe()", "~/.flexmeasures.cfg", str(folder / "secret_key")):
        assert hint in str(refused.value)
    (folder / "secret_key").write_text(f"{STRONG}\n")
    assert provide_secret_key(values, "production", folder) == STRONG


WEAK = ["abc", "x" * 64, "0123456789abcde", "abababababababab", "ChangeMeChangeMe"]


@pytest.mark.parametrize("key", WEAK)
@pytest.mark.parametrize("env", ["production", "staging"])
def test_a_weak_key_is_refused_where_others_are_served(places, monkeypatch, env, key):
    """A key that can be guessed stops the start; the message says how to make one, and not the key."""
    monkeypatch.setenv("SECRET_KEY", key)
    values, _ = load(places, env)
    with pytest.raises(SettingsError, match="SECRET_KEY is too weak") as refused:
        provide_secret_key(values, env, places / "instance")
    for hint in ("secrets.token_urlsafe()", "SECURITY_PASSWORD_SALT", "FLASK_ENV=development"):
        assert hint in str(refused.value)
    assert key not in str(refused.value).replace("secret", "")
    file = places / "instance" / "secret_key"
    file.write_text(key)
    with pytest.raises(SettingsError, match="is too weak") as refused:
        provide_secret_key({**values, "SECRET_KEY": None}, env, places / "instance")
    assert str(file) in str(refused.value)


@pytest.mark.parametrize("env", ["development", "testing", "documentation"])
def test_a_weak_key_is_good_enough_elsewhere(places, env):
    """Where nobody else is served, any key will do."""
    values = {**load(places, env)[0], "SECRET_KEY": "abc"}
    assert provide_secret_key(values, env, places / "instance") == "abc"


def test_what_is_wrong_with_the_configuration_is_shown_at_the_default_level(places):
    """In production, where only errors are logged, unknown settings and faulty plugins are named on standard error."""
    plugin = places / "broken"
    plugin.mkdir()
    (plugin / "__init__.py").write_text("a = 1\n1 / 0\n")
    told = {
        "FLEXMEASURES_INSTANCE_PATH": str(places / "instance"),
        "FLEXMEASURES_TIMEZON": "UTC",
        "FLEXMEASURES_PLUGIN_PATHS": f'["{plugin}"]',
    }
    done = subprocess.run(
        [sys.executable, "-m", "flexmeasures", "routes"],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Did you mean FLEXMEASURES_TIMEZONE?" in done.stderr
    assert f"ZeroDivisionError: division by zero (in {plugin}/__init__.py, line 2)" in done.stderr
    assert "Traceback" not in done.stderr
    assert "/api/requestAuthToken" in done.stdout
    assert "Did you mean" not in done.stdout


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SQLALCHEMY_DATABASE_URL", "SQLALCHEMY_DATABASE_URI"),
        ("MAIL_SEVER", "MAIL_SERVER"),
        ("SECRETKEY", "SECRET_KEY"),
        ("SECURITY_TOKEN_MAXAGE", "SECURITY_TOKEN_MAX_AGE"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("FLEXMEASURES_PLUGINS", "FLEXMEASURES_PLUGIN_PATHS"),
        ("FLEXMEASURES_REDIS_HOST", "FLEXMEASURES_REDIS_PORT"),
        ("FLEXMEASURES_HOST_AND_AUTH_START", "FLEXMEASURES_HOSTS_AND_AUTH_START"),
    ],
)
@pytest.mark.parametrize("which", ["environment", "home", "instance", ".env"])
def test_misspelt_names_are_named_wherever_they_stand(places, monkeypatch, which, name, nearest):
    """A name that is nearly one of ours is named with the nearest one, from files as from the environment."""
    if which == "environment":
        monkeypatch.setenv(name, "1")
    else:
        write(places, which, name, "1")
    values, warnings = load(places)
    (warning,) = warnings
    assert name in warning
    assert f"Did you mean {nearest}?" in warning or nearest.startswith("FLEXMEASURES_REDIS")
    assert values[nearest] == load_settings("testing", places)[0][nearest]


def run(places, *words, **environment):
    """Run a command with an environment of its own."""
    told = {"FLEXMEASURES_INSTANCE_PATH": str(places / "instance"), **environment}
    done = CliRunner(env=told).invoke(cli.cli, words)
    assert isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        pytest.param({"SQLALCHEMY_DATABASE_URI": "postgresql://u@h/d"}, "SECRET_KEY is not set", id="no key"),
        pytest.param({"MAIL_PORT": "smtp"}, "MAIL_PORT is set to 'smtp'", id="a wrong type"),
        pytest.param({"FLASK_ENV": "prod"}, "FLASK_ENV is 'prod'", id="a wrong environment"),
    ],
)
def test_a_wrong_configuration_stops_the_start(places, environment, told):
    """What is wrong is said without a stack trace, and the exit code is 2."""
    done = run(places, "routes", **environment)
    assert done.exit_code == 2
    assert told in done.output


def test_a_wrong_configuration_shows_no_stack_trace(places):
    """A user who starts the program sees the sentence and nothing else, on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "flexmeasures", "routes"],
        env={**os.environ, "MAIL_PORT": "smtp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("MAIL_PORT is set to 'smtp'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "environment", "told"),
    [
        pytest.param(
            ("add", "structure"),
            {"SQLALCHEMY_DATABASE_URI": "postgresql://u:geheim@127.0.0.1:1/d", "SECRET_KEY": STRONG},
            "The database does not answer",
            id="the database",
        ),
        pytest.param(
            ("jobs", "clear-queue", "--queue", "scheduling"),
            {"FLEXMEASURES_REDIS_URL": "redis://:geheim@127.0.0.1:1"},
            "The job store does not answer",
            id="the job store",
        ),
    ],
)
def test_servers_that_do_not_answer_are_named(places, words, environment, told):
    """A configured server that is not there is named with its setting, and no password is shown."""
    done = run(places, *words, **environment)
    assert done.exit_code == 1
    assert told in done.output
    assert next(iter(environment)) in done.output
    assert "geheim" not in done.output


def test_the_demonstration_uses_no_servers_of_ones_own(places, monkeypatch):
    """Whatever is configured in the home folder, in .env or in the environment, the demonstration has its own data."""
    address = "postgresql://u@h/production"
    for which in ("home", ".env"):
        write(places, which, "SQLALCHEMY_DATABASE_URI", address)
    monkeypatch.setenv("SQLALCHEMY_DATABASE_URI", address)
    monkeypatch.setenv("FLEXMEASURES_REDIS_URL", "redis://h")
    started = {}
    monkeypatch.setattr(demo.subprocess, "Popen", lambda _command, **how: started.update(how))
    folder = places / "instance" / "demo"
    demo._Server(folder, 5000)._log.close()
    # What the server will find: the folder in which it starts, and the environment that it is given.
    monkeypatch.chdir(started["cwd"])
    for name in ("SQLALCHEMY_DATABASE_URI", "FLEXMEASURES_REDIS_URL"):
        monkeypatch.delenv(name)
    values, _ = load_settings("production", folder, environ={**read_environment(), **started["env"]})
    assert values["SQLALCHEMY_DATABASE_URI"] is None
    assert values["FLEXMEASURES_REDIS_URL"] is None
