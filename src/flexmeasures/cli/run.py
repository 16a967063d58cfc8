"""The command ``flexmeasures run``: embedded services, a worker, streams and the web server, in one terminal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

import click
from flask import Flask
from flask.cli import ScriptInfo, run_command
from werkzeug.serving import get_sockaddr, is_running_from_reloader, select_address_family

from flexmeasures.cli.jobs import SUPERVISED
from flexmeasures.cli.serving import name_address, serve
from flexmeasures.data.database import prepare
from flexmeasures.jobs.queues import QUEUE_NAMES

__all__ = ["Companion", "run"]

WARM_PATIENCE = 20.0  # how long the worker may finish its job [s]
COLD_PATIENCE = 5.0  # how long it may take to drop it [s]
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # between two attempts to start a worker [s]

# A worker that ended so was ended by somebody, or for want of memory; any other end is a bug of ours.
_FROM_OUTSIDE = {
    0,
    *(-int(getattr(signal, name)) for name in ("SIGKILL", "SIGTERM") if hasattr(signal, name)),
}

# Schedules first: somebody waits for them.
_QUEUES = "|".join(sorted(QUEUE_NAMES, reverse=True))


class Companion:
    """Another command of ours in a process of its own, started again if it ends unexpectedly.

    It has its own session, so that Ctrl-C reaches us alone and we end it in order. If we are killed, it
    notices that its standard input has ended, and ends too.

    Args:
        title: What it is, for messages.
        words: Of the command.

    Attributes:
        crashes: How often it ended by itself, with a status that says so.
    """

    def __init__(self, title: str, *words: str) -> None:
        self.title, self._words = title, words
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.crashes = 0

    def start(self) -> None:
        """Start it, and watch over it from now on."""
        self._spawn()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Let it finish what it does; after a while or when interrupted, a worker drops its job for the next one."""
        with self._lock:
            self._stopping.set()
        process = self._process
        if process is None:
            return
        asked = time.monotonic()
        for patience in (WARM_PATIENCE, COLD_PATIENCE):
            process.terminate()
            if self._wait(process, patience):
                break
            # A worker takes two signals within a second for one.
            time.sleep(max(0.0, asked + 1.1 - time.monotonic()))
        else:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()

    def _wait(self, process: subprocess.Popen[bytes], patience: float) -> bool:
        """Wait for a process to end; an interrupt of ours ends our patience."""
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(2.0, patience))
            if process.poll() is None:
                click.echo(
                    f"The {self.title} is finishing its job. Ctrl-C leaves that to the next {self.title}.",
                    err=True,
                )
                process.wait(patience - 2.0)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            return False
        return True

    def _spawn(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            # -P: a folder "flexmeasures" where we happen to be must not be taken for us.
            command = [sys.executable, "-P", "-m", "flexmeasures", *self._words]
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                command,
                stdin=subprocess.PIPE,
                env={**os.environ, SUPERVISED: "1"},
                start_new_session=True,
            )

    def _watch(self) -> None:
        pause = SHORTEST_PAUSE / 2
        while True:
            began = time.monotonic()
            status = self._process.wait() if self._process else 0
            if self._stopping.is_set():
                return
            crashed = status not in _FROM_OUTSIDE
            self.crashes += crashed
            lived_long = time.monotonic() - began > LONGEST_PAUSE
            pause = SHORTEST_PAUSE if lived_long else min(pause * 2, LONGEST_PAUSE)
            ended = "crashed" if crashed else "ended"
            click.echo(
                f"The {self.title} {ended} (status {status}); another one starts in {pause:.0f} s.", err=True
            )
            if self._stopping.wait(pause):
                return
            self._spawn()


@click.pass_context
def _run(ctx: click.Context, /, no_worker: bool, no_streams: bool, **options: Any) -> None:
    if is_running_from_reloader():
        ctx.invoke(run_command, **options)
        return
    companions: list[Companion] = []
    with _Interrupts() as interrupts:
        options["port"] = _check_port(options["host"], options["port"])
        app = ctx.ensure_object(ScriptInfo).load_app()
        prepare(app)
        _greet(app, options)
        try:
            if not no_worker:
                companions.append(Companion("worker", "jobs", "run-worker", "--queue", _QUEUES))
            if not no_streams:
                companions.append(Companion("stream process", "streams", "--listen", _streams_address(app)))
            with interrupts.held():
                for companion in companions:
                    companion.start()
            serve(ctx, app, options)
        finally:
            for companion in companions:
                companion.stop()
    for crashed in (one for one in companions if one.crashes):
        times = "once" if crashed.crashes == 1 else f"{crashed.crashes} times"
        raise click.ClickException(f"The {crashed.title} crashed {times}; what it wrote before says why.")


run = click.Command(
    "run",
    callback=_run,
    params=[
        *run_command.params,
        click.Option(["--no-worker"], is_flag=True, help="Leave jobs to workers that are started by hand."),
        click.Option(["--no-streams"], is_flag=True, help="Leave out WebSocket streams and MQTT."),
    ],
    short_help="Run FlexMeasures: database, worker, streams and web server.",
    help="Run FlexMeasures: the embedded database and job store (unless others are configured), a worker, "
    "streams and a web server, until Ctrl-C. For one person, or a few; larger installations use gunicorn. What "
    "crashes is started again; the status at the end is then not zero.",
)


class _Interrupts:
    """Takes SIGTERM and a closed terminal for Ctrl-C, and Ctrl-C for the way to end without complaint."""

    def __init__(self) -> None:
        names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        self._signals = [getattr(signal, name) for name in names]
        self._held = self._pending = False

    def __enter__(self) -> Self:
        for number in self._signals:
            signal.signal(number, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        # The embedded services are stopped when this process ends; that must not be cut short.
        for number in self._signals:
            signal.signal(number, signal.SIG_IGN)
        return kind is KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let an interrupt wait: in the midst of starting a process it would make us forget that process."""
        self._held = True
        yield
        self._held = False
        if self._pending:
            raise KeyboardInterrupt

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if not self._held:
            raise KeyboardInterrupt
        self._pending = True


def _check_port(host: str, port: int) -> int:
    """Find out whether the port is free before anything is started; 0 stands for any free one."""
    if host.startswith("unix://"):
        return port
    family = select_address_family(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(get_sockaddr(host, port, family))
        except OSError as error:
            raise click.ClickException(
                f"Cannot listen on {host}, port {port}: {error.strerror or error}. "
                f"Choose another port, for instance with --port {port + 1}."
            ) from error
        return int(probe.getsockname()[1])


def _streams_address(app: Flask) -> str:
    """Take the configured address for streams, or a free port of its host if another program listens there."""
    host, _, port = app.config["FLEXMEASURES_STREAMS_ADDRESS"].rpartition(":")
    family = select_address_family(host, int(port))
    for number in (int(port), 0):
        with socket.socket(family, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(get_sockaddr(host.strip("[]"), number, family))
            return f"{host}:{probe.getsockname()[1]}"
    raise click.ClickException(
        f"Cannot listen on {host}: set FLEXMEASURES_STREAMS_ADDRESS, or leave streams out."
    )


def _greet(app: Flask, options: dict[str, Any]) -> None:
    click.echo(f"FlexMeasures serves {name_address(options)}")
    click.echo(f"Its instance folder is {app.instance_path}")
    click.echo("Ctrl-C stops it.")
