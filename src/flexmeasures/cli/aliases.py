"""Groups of commands that know their commands by other names as well."""

from __future__ import annotations

from collections.abc import Mapping

import click

__all__ = ["Aliased"]


class Aliased(click.Group):
    """Knows its commands by names with underscores too, and by the names of other versions of the documentation.

    Attributes:
        aliases: Names of commands by their other names.
    """

    aliases: Mapping[str, str] = {}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by any of its names."""
        name = cmd_name.replace("_", "-")
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, self.aliases.get(name, name))
