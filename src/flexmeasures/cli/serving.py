"""The web server of ``flexmeasures run``: waitress, or werkzeug's development server for the tools of developers."""

from __future__ import annotations

from typing import Any

import click
from flask import Flask
from flask.cli import run_command
from flask.helpers import get_debug_flag
from waitress import create_server

__all__ = ["name_address", "serve"]

THREADS = 8
CONNECTIONS = 1000
"""So many connections may be open at once; they cost little, since no thread waits for a slow one."""

PATIENCE = 60
"""Time after which an idle connection is closed [s]."""


def serve(ctx: click.Context, app: Flask, options: dict[str, Any]) -> None:
    """Serve an app until it is interrupted.

    Args:
        ctx: Of the command.
        app: The app.
        options: Those of Flask's own ``run``, with the number of a port that is free.
    """
    debug = get_debug_flag()
    if options["cert"] or any(
        debug if options[name] is None else options[name] for name in ("reload", "debugger")
    ):
        # A certificate, a debugger or a reloader: these are tools of werkzeug's server, which says what it is for.
        ctx.invoke(run_command, **options)
        return
    server = create_server(
        app,
        **_address(options),
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=PATIENCE,
        ident=None,
        # Views are not called before a body is there, so this bounds what is put aside for them. It counts the sizes
        # of chunks as well, hence the room; views are bound exactly.
        **({"max_request_body_size": 2 * limit} if (limit := app.config["MAX_CONTENT_LENGTH"]) else {}),
        # Whom to believe is for the app to say: FLEXMEASURES_TRUSTED_PROXIES.
        clear_untrusted_proxy_headers=False,
    )
    click.echo(f" * Running on {name_address(options)}")
    server.run()


def name_address(options: dict[str, Any]) -> str:
    """Write the address at which one is served."""
    host = options["host"]
    if host.startswith("unix://"):
        return str(host)
    scheme = "https" if options.get("cert") else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{options['port']}"


def _address(options: dict[str, Any]) -> dict[str, Any]:
    host: str = options["host"]
    if host.startswith("unix://"):
        return {"unix_socket": host.removeprefix("unix://")}
    return {"host": host, "port": options["port"]}
