"""The command line: a thin door over the same services as the API.

Every command is loaded when it is called, so that ``flexmeasures --help`` need not load the platform.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from flexmeasures._version import __version__
from flexmeasures.cli.lazy import LazyCommands

__all__ = ["cli", "main"]

# name: (where it is, what it does, whether it is listed)
_COMMANDS: dict[str, tuple[str, str, bool]] = {
    "add": (
        "flexmeasures.cli.add:add",
        "Add structure, accounts, users, assets, markets, sensors, schedules.",
        True,
    ),
    "communities": (
        "flexmeasures.cli.communities:communities",
        "Work with energy communities: statuses, tables, proposals, files.",
        True,
    ),
    "coordination": (
        "flexmeasures.cli.coordination:coordination",
        "Send price curves; see deliveries, acknowledgements and reports; settle.",
        True,
    ),
    "db": ("flexmeasures.cli.database:db", "Upgrade, downgrade and inspect the database schema.", True),
    "db-ops": (
        "flexmeasures.cli.db_ops:db_ops",
        "Reset, dump, restore, save, load and thin the database.",
        True,
    ),
    "delete": (
        "flexmeasures.cli.delete:delete",
        "Delete users, accounts, assets, sensors, structure, beliefs.",
        True,
    ),
    "demo": ("flexmeasures.cli.demo:demo", "Schedule a small site on real data, end to end.", True),
    "dev-add": ("flexmeasures.cli.beliefs:dev_add", "Add sensors and beliefs as 0.4.0 did.", True),
    "edit": ("flexmeasures.cli.edit:edit", "Edit assets, move them, edit sensors and attributes.", True),
    "jobs": ("flexmeasures.cli.jobs:jobs", "Work on job queues; show, retry and clear their jobs.", True),
    "monitor": (
        "flexmeasures.cli.monitor:monitor",
        "Check tasks, latest data, users and queues.",
        True,
    ),
    "order": ("flexmeasures.cli.order:order", "Order flexibility from assets, and take orders back.", True),
    "roles": (
        "flexmeasures.cli.accounts:roles",
        "Create roles, give them to users, or take them away.",
        True,
    ),
    "routes": ("flask.cli:routes_command", "List the routes of the web application.", True),
    "run": ("flexmeasures.cli.run:run", "Run FlexMeasures: database, worker, streams and web server.", True),
    "show": (
        "flexmeasures.cli.show:show",
        "Show what there is: accounts, assets, beliefs, schedules, orders.",
        True,
    ),
    "streams": (
        "flexmeasures.cli.streams:streams",
        "Serve WebSocket streams, publish to the MQTT broker.",
        True,
    ),
    "shell": ("flask.cli:shell_command", "Run a Python shell in the application's context.", True),
    "users": ("flexmeasures.cli.accounts:users", "Create, activate, deactivate and reset users.", True),
    # As the quickstart of the documentation writes them.
    "clear-queue": ("flexmeasures.cli.jobs:clear_queue", "Same as: jobs clear-queue", False),
    "run-worker": ("flexmeasures.cli.jobs:run_worker", "Same as: jobs run-worker", False),
}


_WITHOUT_DOORS = (
    *(
        "show",
        "monitor",
        "delete",
        "edit",
        "add schedules",
        "add beliefs",
        "dev-add",
        "add annotation",
        "add holidays",
    ),
    *("db-ops thin", "jobs", "run-worker", "clear-queue"),
)
"""Commands that need the stores alone, and no APIs, pages or accounts: they begin in half the time."""


class LazyGroup(click.Group):
    """Knows our commands by name and loads them when they are called; the app's own commands come after them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List our commands, and those of plugins where there may be any."""
        names = {name for name, (_, _, listed) in _COMMANDS.items() if listed}
        if _may_have_plugins():
            names |= set(_load_app(ctx).cli.list_commands(ctx))
        return sorted(names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name in _COMMANDS:
            module, attribute = _COMMANDS[cmd_name][0].split(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            if not isinstance(command, LazyCommands):
                _provide_app(ctx)
            return command
        if not _may_have_plugins():
            return None
        of_plugin: click.Command | None = _load_app(ctx).cli.get_command(ctx, cmd_name)
        return of_plugin

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        rows = []
        for name in self.list_commands(ctx):
            if name in _COMMANDS:
                rows.append((name, _COMMANDS[name][1]))
            else:
                command = self.get_command(ctx, name)
                rows.append((name, command.get_short_help_str() if command else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it refuses is said in a sentence, without a stack trace."""
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except Exception as error:
            explanation = _explain(error)
            if explanation is None:
                raise
            raise click.ClickException(explanation) from error


def _explain(error: Exception) -> str | None:
    """Say what to do about a server that does not answer, or a database without our tables."""
    from flexmeasures.domain.errors import FlexError  # noqa: PLC0415 - not needed for --help

    if isinstance(error, FlexError):
        return str(error)
    if isinstance(error, click.ClickException | click.Abort):
        return None
    from psycopg.errors import UndefinedTable  # noqa: PLC0415
    from redis.exceptions import ConnectionError as RedisConnectionError  # noqa: PLC0415
    from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError  # noqa: PLC0415

    if isinstance(error, OperationalError):
        reason = str(error.orig).partition("\n")[0]
        return f"The database does not answer: {reason}. See the setting SQLALCHEMY_DATABASE_URI."
    if isinstance(error, ProgrammingError) and isinstance(error.orig, UndefinedTable):
        return "The database lacks some of our tables. Make them with: flexmeasures db upgrade"
    if isinstance(error, IntegrityError | DataError):
        # Not the whole of it: the rest repeats the row, the hash of a password included.
        diagnosis = getattr(error.orig, "diag", None)
        return f"The database refuses that: {getattr(diagnosis, 'message_primary', None) or 'it cannot be stored'}."
    if isinstance(error, RedisConnectionError):
        return f"The job store does not answer: {error} See the setting FLEXMEASURES_REDIS_URL."
    return None


def _provide_app(ctx: click.Context) -> None:
    """Let a command find the app that it needs, which is built when it asks for it."""
    from flask.cli import ScriptInfo  # noqa: PLC0415 - not needed for --help

    for one in (ctx, ctx.find_root()):
        if one.obj is None:
            one.obj = ScriptInfo(create_app=_create_app)


def _create_app(*_: Any) -> Any:
    """Build the app that the command which runs right now needs; plugins need all of it."""
    from flexmeasures.foundation import lay_foundation  # noqa: PLC0415 - loads much
    from flexmeasures.setting_types import SettingsError  # noqa: PLC0415 - not needed for --help

    try:
        app = lay_foundation()
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    context = click.get_current_context(silent=True)
    command = (context.command_path if context else "").partition(" ")[2]
    from flexmeasures.installed_plugins import find_installed_plugins  # noqa: PLC0415 - a light module

    plugins = app.config["FLEXMEASURES_PLUGIN_PATHS"] or find_installed_plugins(
        app.config["FLEXMEASURES_INSTALLED_PLUGINS"]
    )
    if plugins or not f"{command} ".startswith(tuple(f"{name} " for name in _WITHOUT_DOORS)):
        from flexmeasures.app import add_doors  # noqa: PLC0415 - loads the whole platform

        add_doors(app)
    return app


def _load_app(ctx: click.Context) -> Any:
    _provide_app(ctx)
    return ctx.obj.load_app()


def _may_have_plugins() -> bool:
    """Tell, without loading the settings, whether plugins may be configured."""
    word = "FLEXMEASURES_PLUGIN_PATHS"
    if os.environ.get(word):
        return True
    from flexmeasures.installed_plugins import may_be_installed  # noqa: PLC0415 - a light module
    from flexmeasures.instance import find_instance_path  # noqa: PLC0415 - a light module

    if may_be_installed():
        return True
    files = (
        Path(".env"),
        Path(".flaskenv"),
        Path("~/.flexmeasures.cfg").expanduser(),
        find_instance_path() / "flexmeasures.cfg",
    )
    return any(word in path.read_text(errors="ignore") for path in files if path.is_file())


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="FlexMeasures")
def cli() -> None:
    """FlexMeasures: measure, forecast, schedule, trade and coordinate energy flexibility."""


def main() -> None:
    """Run the command line."""
    _read_env_files()
    cli(prog_name="flexmeasures")


def _read_env_files() -> None:
    """Add to the environment what stands in the files of the working folder, as Flask's own commands do."""
    files = [name for name in (".env", ".flaskenv") if Path(name).is_file()]
    if files:
        from dotenv import load_dotenv  # noqa: PLC0415 - seldom needed

        for name in files:
            load_dotenv(name)
