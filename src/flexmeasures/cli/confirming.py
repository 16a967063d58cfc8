"""Questions before something is deleted for good."""

from __future__ import annotations

import sys

import click

__all__ = ["confirm", "yes_option"]

yes_option = click.option(
    "--yes", "--force", "-y", "yes", is_flag=True, help="Do not ask for confirmation; for scripts."
)


def confirm(what: str, yes: bool, *, silence_is_consent: bool = False) -> None:
    """Ask whether to go on; end the command, with status 1, if not.

    Args:
        what: What is about to happen, as a sentence.
        yes: Whether this was confirmed already, by an option.
        silence_is_consent: Whether a script that answers nothing means yes: for commands of which the documentation
            of 0.4.0 says that they do not ask. Somebody at a terminal is asked all the same.
    """
    if yes:
        return
    if silence_is_consent and not sys.stdin.isatty():
        answer = sys.stdin.readline().strip().lower()
        if answer in ("", "y", "yes"):
            return
        raise click.Abort
    click.echo(what)
    click.confirm("Do you want to continue?", abort=True)
