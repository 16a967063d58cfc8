"""The command ``flexmeasures streams``: the process of long connections."""

from __future__ import annotations

import logging
import os
import threading

import click
from flask.cli import ScriptInfo, pass_script_info

from flexmeasures.cli.jobs import SUPERVISED
from flexmeasures.data.database import prepare
from flexmeasures.setting_types import SettingsError
from flexmeasures.settings import SETTINGS

__all__ = ["streams"]

_ADDRESS = "FLEXMEASURES_STREAMS_ADDRESS"


@click.command("streams")
@click.option("--listen", metavar="HOST:PORT", help=f"Where to listen; {_ADDRESS} if left out.")
@pass_script_info
def streams(info: ScriptInfo, listen: str | None) -> None:
    """Serve WebSocket streams and publish to the MQTT broker, until it is stopped.

    One process of long connections, beside the web server: `flexmeasures run` starts one. A reverse proxy hands it what
    comes to /streams/.
    """
    from flexmeasures.streams.server import StreamServer  # noqa: PLC0415 - not needed for --help

    if listen is not None:
        setting = next(one for one in SETTINGS if one.name == _ADDRESS)
        try:
            setting.parse(listen)
        except SettingsError as error:
            raise click.BadParameter(str(error), param_hint="--listen") from error
    app = info.load_app()
    prepare(app)
    server = StreamServer(app, listen or app.config[_ADDRESS])
    if SUPERVISED in os.environ:
        threading.Thread(target=_stop_at_end_of_input, args=(server.stop,), daemon=True).start()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        server.run(lambda port: click.echo(f"Streams are served on port {port}."))
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {listen or app.config[_ADDRESS]}: {error.strerror or error}. Choose another address "
            f"with --listen, or with {_ADDRESS}."
        ) from error


def _stop_at_end_of_input(stop: object) -> None:
    """Stop when the process at the other end of standard input is gone."""
    while os.read(0, 1024):
        pass
    stop()  # type: ignore[operator]
