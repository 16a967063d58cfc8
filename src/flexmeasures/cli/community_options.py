"""Options that commands of communities share, and how these commands work and answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction

__all__ = ["as_json", "do", "say", "service_id"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
service_id = click.option("--service-id", type=int, required=True, help="Id of the service.")


def do(work: Callable[[Any], Any]) -> Any:
    """Do something in a transaction of its own."""
    return as_transaction(work)(db.session)


def say(text: str, told: Any, is_json: bool) -> None:
    """Say what was made: in a sentence, or as JSON."""
    click.echo(json.dumps(told, ensure_ascii=False) if is_json else text)
