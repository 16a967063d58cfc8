"""Groups whose commands are loaded when they are called, since most of them need a part of the platform only."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple

import click

__all__ = ["LazyCommands", "Place", "load"]


class Place(NamedTuple):
    """Location of a command, as ``module:name`` in this folder, and its short help."""

    where: str
    help: str


def load(where: str) -> click.Command:
    """Load a command."""
    module, _, name = where.partition(":")
    command: click.Command = getattr(importlib.import_module(f"flexmeasures.cli.{module}"), name)
    return command


class LazyCommands(click.Group):
    """Knows its commands by name and loads them when they are called; lists them without loading any.

    Args:
        name: Name of the group.
        places: Commands by their names.
        help: What the group is for.
    """

    def __init__(self, name: str, places: Mapping[str, Place], help: str) -> None:  # noqa: A002 - click's word
        super().__init__(name, help=help)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the commands."""
        return sorted({*self.places, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        from flexmeasures.cli import _provide_app  # noqa: PLC0415 - which has these groups

        _provide_app(ctx)
        place = self.places.get(cmd_name)
        return super().get_command(ctx, cmd_name) if place is None else load(place.where)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their short helps."""
        own = {name: command.get_short_help_str(80) for name, command in self.commands.items()}
        told = {name: place.help for name, place in self.places.items()} | own
        with formatter.section("Commands"):
            formatter.write_dl(sorted(told.items()))
