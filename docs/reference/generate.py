"""Write what is made from the code: run this after a change of settings, commands or messages of UFTP.

In configuration.md and cli.md what stands between the two marks of a page is replaced; the rest of it is written by
hand. uftp-messages.md is made as a whole.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from flask.cli import run_command as flask_run

from flexmeasures.cli import cli
from flexmeasures.domain.time import format_duration
from flexmeasures.setting_types import Setting
from flexmeasures.settings import SETTINGS
from shapeshifter_uftp.reference import message_reference

HERE = Path(__file__).parent
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"

CHAPTERS = {
    "DEBUG": "Basic functionality",
    "FLEXMEASURES_PLATFORM_NAME": "User interface",
    "FLEXMEASURES_TIMEZONE": "Timing",
    "FLEXMEASURES_SCHEDULING_TIME_LIMIT": "Schedules",
    "DARK_SKY_API_KEY": "Tokens",
    "FLEXMEASURES_OPENADR_CLIENTS": "Coordination",
    "FLEXMEASURES_MONITORING_INTERVAL": "Monitoring",
    "SQLALCHEMY_DATABASE_URI": "Database",
    "SECRET_KEY": "Security",
    "MAIL_SERVER": "Mail",
    "FLEXMEASURES_REDIS_URL": "Redis",
    "FLEXMEASURES_STREAMS_ADDRESS": "Streams",
    "FLEXMEASURES_PUBLIC_DEMO_CREDENTIALS": "Demonstrations",
}
"""Titles of chapters, by their first setting."""

_KINDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    timedelta: "duration",
    types.NoneType: "nothing",
    Any: "anything",
}


def name_kind(kind: Any) -> str:
    """Name the type of a setting in words."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return name_kind(parts[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(name_kind(part) for part in parts)
    if origin is list:
        return f"list of {name_kind(parts[0])}s"
    if origin is typing.Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is tuple:
        return f"pair of {name_kind(parts[0])}s"
    if origin is dict:
        return "mapping"
    return _KINDS[kind]


def show(value: Any) -> str:
    """Write a default as one would write it in a configuration file."""
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    return "nothing" if value is None else f"`{value!r}`".replace("'", '"')


def describe_setting(setting: Setting) -> str:
    """Write the section of a setting."""
    elsewhere = ", ".join(f"{show(value)} in {env}" for env, value in setting.by_environment.items())
    default = show(setting.default) + (f" ({elsewhere})" if elsewhere else "")
    chapter = f"## {CHAPTERS[setting.name]}\n\n" if setting.name in CHAPTERS else ""
    kind = name_kind(setting.type)
    return f"{chapter}### {setting.name}\n\n{setting.meaning}\n\n*{kind.capitalize()}; default:* {default}\n"


def all_commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """List all commands that are not groups, by their full names."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None  # noqa: S101 - it was listed
            if isinstance(command, click.Group):
                yield from all_commands(command, (*path, name))
            else:
                yield " ".join(("flexmeasures", *path, name)), command


def is_ours(command: click.Command) -> bool:
    """Tell whether a command and its help are written here, rather than in a library."""
    callback = command.callback
    while hasattr(callback, "__wrapped__"):
        callback = callback.__wrapped__
    return getattr(callback, "__module__", "").startswith("flexmeasures")


def describe_command(name: str, command: click.Command) -> str:
    """Write the section of a command: what it does and its options."""
    help_text = (command.help or "").partition("\f")[0].strip()
    lines = [f"## {name}", "", *(" ".join(part.split()) + "\n" for part in help_text.split("\n\n"))]
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    inherited = [p for p in command.params if p in flask_run.params]
    options = [p for p in command.params if isinstance(p, click.Option) and p not in inherited]
    lines += [f"Argument: `{argument.human_readable_name.upper()}`\n" for argument in arguments]
    if inherited:
        lines.append(
            "It has the options of `flask run`, too, such as `--host`, `--port`, `--cert` and `--debug`.\n"
        )
    if options:
        lines += ["| Option | Needed | Meaning |", "| --- | --- | --- |"]
    for option in options:
        spelled = " / ".join(f"`{one}`" for one in (*option.opts, *option.secondary_opts))
        lines.append(f"| {spelled} | {'yes' if option.required else ''} | {_meaning(option)} |")
    return "\n".join(lines).rstrip() + "\n"


def _meaning(option: click.Option) -> str:
    default = option.default
    shown = isinstance(default, (str, int, float)) and not option.is_flag and default != ""
    text = (option.help or "").strip().replace("|", "\\|")
    return f"{text} Default: `{default}`.".strip() if shown else text


def mention_command(name: str, command: click.Command) -> str:
    """Write the row of a command that comes from a library."""
    return f"| `{name}` | {command.get_short_help_str(90)} |"


def settings_text() -> str:
    """Write all settings."""
    return "\n".join(describe_setting(setting) for setting in SETTINGS)


def commands_text() -> str:
    """Write all commands: our own in full, those of libraries as a table."""
    commands = list(all_commands())
    ours = [describe_command(name, command) for name, command in commands if is_ours(command)]
    others = [mention_command(name, command) for name, command in commands if not is_ours(command)]
    table = ["## Commands of the libraries", "", "| Command | Meaning |", "| --- | --- |", *others]
    return "\n".join([*ours, "\n".join(table) + "\n"])


def replace_generated(page: str, text: str) -> str:
    """Put a text between the two marks of a page."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def main() -> None:
    """Write all pages."""
    for name, text in (("configuration.md", settings_text()), ("cli.md", commands_text())):
        page = HERE / name
        page.write_text(replace_generated(page.read_text(encoding="utf-8"), text), encoding="utf-8")
    (HERE / "uftp-messages.md").write_text(message_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
