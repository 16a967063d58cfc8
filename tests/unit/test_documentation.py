"""The documentation says what the code does, and its links lead somewhere."""

import importlib
import re
import runpy
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flexmeasures.api.usef.statuses import STATUSES, refusal_of
from flexmeasures.api.usef.versions import SERVICES
from flexmeasures.cli import cli
from flexmeasures.data.database import db
from flexmeasures.domain import errors
from flexmeasures.settings import SETTINGS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"]
GENERATE = "python docs/reference/generate.py"

importlib.import_module("flexmeasures.data.tables")  # so that the metadata knows every table
generate = runpy.run_path(str(ROOT / "docs/reference/generate.py"))
COMMANDS = dict(generate["all_commands"]())
OUR_COMMANDS = [name for name, command in COMMANDS.items() if generate["is_ours"](command)]


def page(name):
    """Read a page of the reference."""
    return (ROOT / "docs/reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_each_setting_is_documented(setting):
    """The configuration page has each setting with its type, its defaults and its meaning as they are in the code."""
    assert generate["describe_setting"](setting) in page("configuration.md"), f"Run: {GENERATE}"


def test_no_other_setting_is_documented():
    """The configuration page has no settings that do not exist."""
    assert re.findall(r"^### (\S+)$", page("configuration.md"), re.MULTILINE) == [s.name for s in SETTINGS]


@pytest.mark.parametrize("name", OUR_COMMANDS)
def test_each_command_is_documented(name):
    """The page of the command line has each of our commands with its options as they are in the code."""
    assert generate["describe_command"](name, COMMANDS[name]) in page("cli.md"), f"Run: {GENERATE}"


def test_no_other_command_is_documented():
    """The page of the command line has no commands that do not exist."""
    documented = re.findall(r"^## (flexmeasures .+)$", page("cli.md"), re.MULTILINE)
    assert documented == OUR_COMMANDS
    for group in ("db", "roles", "users", "routes", "shell"):
        assert f"| `flexmeasures {group}" in page("cli.md")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_explains_itself(name):
    """Each command has a help text and a help for options whose names do not say it all."""
    command = COMMANDS[name]
    assert command.get_short_help_str()
    plain = {"name", "username", "email", "display_name"}
    for option in command.params:
        if name in OUR_COMMANDS and isinstance(option, click.Option) and option.name not in plain:
            assert option.help, option.name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    """What a page links to in this repository exists, the heading included."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {
                re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
            }
            assert anchor in slugs, target


def test_each_page_is_listed():
    """The front page of the documentation links to every other page."""
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)\)", index)}
    missing = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("**/*.md")} - {"docs/index.md"}
    assert missing - {str(path.relative_to(ROOT)) for path in linked if path.is_relative_to(ROOT)} == set()


@pytest.mark.parametrize("status", STATUSES.values(), ids=lambda status: status.name)
def test_each_status_is_documented(status):
    """The page of errors has each status of the API with its HTTP code and meaning."""
    assert f"| `{status.name}` | {status.http} | {status.message} |" in page("errors.md")


@pytest.mark.parametrize("name", errors.__all__)
def test_each_error_is_documented(name):
    """The page of errors has each class of the tree with its code, and the status into which the API turns it."""
    kind = getattr(errors, name)
    status = refusal_of(kind("")).status.name
    assert re.search(
        rf"^\| `{name}` \| `{kind.code}` \| .+ \| `{status}` \|$", page("errors.md"), re.MULTILINE
    )


@pytest.mark.parametrize("table", db.metadata.sorted_tables, ids=lambda table: table.name)
def test_each_table_is_documented(table):
    """The page of the data model has each table with its columns."""
    row = re.search(rf"^\| `{table.name}` \| .+ \| (.+) \|$", page("data-model.md"), re.MULTILINE)
    assert row, table.name
    assert {column.name for column in table.columns} - {"id"} <= set(re.findall(r"`(\w+)`", row[1]))


@pytest.mark.parametrize("service", sorted({service.name for service in SERVICES}))
def test_each_service_is_documented(service):
    """The page of messages has each service with its methods."""
    row = re.search(rf"^\| `{service}` \| (.+?) \|", page("api-usef.md"), re.MULTILINE)
    assert row
    assert all(method in row[1] for one in SERVICES if one.name == service for method in one.methods)


def test_each_test_of_the_compatibility_page_exists():
    """The page about compatibility names tests that there are."""
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", page("api-compatibility.md"))
    assert len(named) > 40
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / "tests/contract" / file).read_text(encoding="utf-8"), name


def test_each_test_of_the_page_about_modes_exists():
    """The page about modes names a test, which there is, for each thing that a mode changes."""
    rows = [line for line in page("modes.md").splitlines() if line.startswith("| ") and "---" not in line]
    named = [re.search(r"`(test_\w+\.py)::(test_\w+)` \|$", row) for row in rows if "| Test |" not in row]
    assert len(named) == 14
    for found in named:
        assert found, rows
        text = (ROOT / "tests/contract" / found[1]).read_text(encoding="utf-8")
        assert re.search(rf"\bdef {found[2]}\(", text), found[0]


def test_each_test_of_the_page_about_communities_exists():
    """The page about energy communities names tests that there are."""
    named = set(re.findall(r"`(test_\w+)`", page("communities.md")))
    assert len(named) > 25
    folders = (ROOT / "tests/contract/communities", ROOT / "tests/unit/domain/communities")
    written = "".join(path.read_text(encoding="utf-8") for each in folders for path in each.glob("test_*.py"))
    assert {name for name in named if f"\ndef {name}(" not in written} == set()


@pytest.mark.parametrize("name", ["openadr3.md", "coordination-partner-api.md"])
def test_each_test_of_the_coordination_pages_exists(name):
    """The pages about coordination name tests that there are."""
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", page(name))
    assert len(named) > 10
    for file, test in named:
        folder = "tests/peers" if file == "test_peers.py" else "tests/contract/coordination"
        text = (ROOT / folder / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text, (file, test)


@pytest.mark.parametrize("group", ["add", "show"])
def test_lazy_groups_say_what_their_commands_say(group):
    """A group that lists its commands without loading them has the texts and the names of these commands."""
    places = importlib.import_module(f"flexmeasures.cli.{group}").__dict__[group].places
    for name, place in places.items():
        command = COMMANDS[f"flexmeasures {group} {name}"]
        assert command.name == name
        assert place.help == command.get_short_help_str(limit=100)


# The commands and settings of the chapters CLI Commands and Configuration of the documentation of 0.4.0.
DOCUMENTED_COMMANDS = {
    "add": "structure user asset weather-sensor external-weather-forecasts forecasts",
    "delete": "structure user measurements prognoses",
    "jobs": "run-worker clear-queue",
    "db-ops": "dump load reset restore save",
}
DOCUMENTED_SETTINGS = [
    "LOGGING_LEVEL",
    "FLEXMEASURES_MODE",
    "FLEXMEASURES_LP_SOLVER",
    "FLEXMEASURES_HOSTS_AND_AUTH_START",
    "FLEXMEASURES_PLUGIN_PATHS",
    "FLEXMEASURES_DB_BACKUP_PATH",
    "FLEXMEASURES_PROFILE_REQUESTS",
    "FLEXMEASURES_PLATFORM_NAME",
    "FLEXMEASURES_HIDE_NAN_IN_UI",
    "RQ_DASHBOARD_POLL_INTERVAL",
    "FLEXMEASURES_TIMEZONE",
    "FLEXMEASURES_PLANNING_TTL",
    "FLEXMEASURES_PLANNING_HORIZON",
    "DARK_SKY_API_KEY",
    "MAPBOX_ACCESS_TOKEN",
    "FLEXMEASURES_TASK_CHECK_AUTH_TOKEN",
    "SQLALCHEMY_DATABASE_URI",
    "SQLALCHEMY_ENGINE_OPTIONS",
    "SECRET_KEY",
    "SECURITY_PASSWORD_SALT",
    "SECURITY_TOKEN_AUTHENTICATION_HEADER",
    "SECURITY_TOKEN_MAX_AGE",
    "SECURITY_TRACKABLE",
    "CORS_ORIGINS",
    "CORS_RESOURCES",
    "CORS_SUPPORTS_CREDENTIALS",
    "MAIL_SERVER",
    "MAIL_PORT",
    "MAIL_USE_TLS",
    "MAIL_USE_SSL",
    "MAIL_USERNAME",
    "MAIL_DEFAULT_SENDER",
    "MAIL_PASSWORD",
    "FLEXMEASURES_REDIS_URL",
    "FLEXMEASURES_REDIS_PORT",
    "FLEXMEASURES_REDIS_DB_NR",
    "FLEXMEASURES_REDIS_PASSWORD",
    "FLEXMEASURES_PUBLIC_DEMO_CREDENTIALS",
    "FLEXMEASURES_DEMO_YEAR",
    "FLEXMEASURES_LISTED_VIEWS",
]


def test_each_documented_command_and_setting_is_on_the_checklist():
    """The page of compatibility has a row with a test for each of them, and each command and setting exists."""
    text = page("compatibility.md")
    commands = [
        f"flexmeasures {group} {name}"
        for group, names in DOCUMENTED_COMMANDS.items()
        for name in names.split()
    ]
    assert set(commands) <= set(COMMANDS)
    assert set(DOCUMENTED_SETTINGS) <= {setting.name for setting in SETTINGS}
    for item in (*commands, *DOCUMENTED_SETTINGS):
        assert re.search(
            rf"^\| `{re.escape(item)}` \| .*\| `test_\w+\.py::test_\w+` \|$", text, re.MULTILINE
        ), item


def test_each_test_of_the_checklist_exists():
    """The page of compatibility names tests that there are."""
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", page("compatibility.md")))
    assert len(named) > 25
    written = {path.name: [] for path in (ROOT / "tests").rglob("test_*.py")}
    for path in (ROOT / "tests").rglob("test_*.py"):
        written[path.name].append(path.read_text(encoding="utf-8"))
    assert {
        one for one in named if not any(f"def {one[1]}(" in text for text in written.get(one[0], []))
    } == set()


@pytest.mark.parametrize("name", sorted(OUR_COMMANDS))
def test_each_command_answers_help_and_refuses_other_options(name):
    """With --help a command says what it does and exits with 0; an unknown option is named, with 2."""
    words = name.split()[1:]
    helped = CliRunner().invoke(cli, [*words, "--help"])
    assert (helped.exit_code, helped.output.startswith("Usage: ")) == (0, True)
    refused = CliRunner().invoke(cli, [*words, "--no-such-option"])
    assert refused.exit_code == 2
    assert "No such option" in refused.output
    assert "Traceback" not in refused.output
