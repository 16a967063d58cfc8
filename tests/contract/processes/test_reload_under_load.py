"""New workers, and a new version, take over while requests come in: none of them fails."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.faults

PATIENCE = 90.0  # for anything that should take seconds; machines of continuous integration are slow [s]

# The first version of an application around ours, and what is changed in it: a new version tells another name.
VERSIONED = """
from flexmeasures.app import create

app = create()

@app.get("/which")
def which():
    return "{version}"
"""


def ask(port: int, path: str) -> tuple[int, str]:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def wait_until(condition) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_up(port: int) -> bool:
    """Tell whether the server answers."""
    try:
        return ask(port, "/health/ready")[0] == 200
    except OSError:
        return False


class Load:
    """Clients that ask all the time, and keep count of the answers."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[str] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port, n)) for n in range(3)]

    def _ask(self, port: int, number: int) -> None:
        path = ("/health/ready", "/which", "/api/")[number]
        while not self._stop.is_set():
            try:
                status, body = ask(port, path)
                self.answers[body if path == "/which" and status == 200 else str(status)] += 1
            except Exception as error:  # noqa: BLE001 - each kind of failure counts
                self.answers[repr(error)] += 1
            time.sleep(0.02)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def count(self) -> int:
        """Say how many requests were answered."""
        return sum(self.answers.values())

    def await_more(self, number: int) -> None:
        """Wait until so many more were answered."""
        wanted = self.count() + number
        wait_until(lambda: self.count() >= wanted)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path, Path]]:
    """Gunicorn with two workers: its port, the file of its number, and the module that it serves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    module, pid_file = tmp_path / "versioned.py", tmp_path / "gunicorn.pid"
    module.write_text(VERSIONED.format(version="first"))
    # As the command gunicorn is installed; it starts itself anew, which `python -m gunicorn` cannot.
    script = tmp_path / "gunicorn_command.py"
    script.write_text("from gunicorn.app.wsgiapp import run\n\nrun()\n")
    command = [sys.executable, str(script), "--config", "python:flexmeasures.gunicorn_config"]
    options = ["--workers", "2", "--bind", f"127.0.0.1:{port}", "--pid", str(pid_file), "versioned:app"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FLEXMEASURES_INSTANCE_PATH": str(tmp_path / "instance"),
        "FLASK_ENV": "testing",
    }
    process = subprocess.Popen([*command, *options], env=environment, cwd=tmp_path)
    try:
        wait_until(lambda: is_up(port) or process.poll() is not None)
        yield port, pid_file, module
    finally:
        if pid_file.exists():
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        process.terminate()
        process.wait(PATIENCE)
        ours = [
            one for one in psutil.process_iter(["cmdline"]) if str(pid_file) in (one.info["cmdline"] or ())
        ]
        psutil.wait_procs(ours, PATIENCE)


def workers_of(pid_file: Path) -> set[int]:
    """List the workers of gunicorn."""
    found = set()
    for child in psutil.Process(int(pid_file.read_text())).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # ended between the two questions
            if "gunicorn" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def test_new_workers_take_over_without_a_failed_request(server):
    """After SIGHUP all workers are other ones; every request meanwhile was answered as always."""
    port, pid_file, _ = server
    before = workers_of(pid_file)
    with Load(port) as load:
        load.await_more(20)
        os.kill(int(pid_file.read_text()), signal.SIGHUP)
        wait_until(lambda: len(workers_of(pid_file) - before) == 2 and not workers_of(pid_file) & before)
        load.await_more(20)
    assert set(load.answers) == {"200", "first"}


def test_a_new_version_takes_over_without_a_failed_request(server):
    """After SIGUSR2 a new gunicorn serves the new version on the same port, and the old one is ended in peace."""
    port, pid_file, module = server
    old = int(pid_file.read_text())
    with Load(port) as load:
        load.await_more(20)
        module.write_text(VERSIONED.format(version="second"))
        os.kill(old, signal.SIGUSR2)
        wait_until(lambda: load.answers["second"] > 0)
        os.kill(old, signal.SIGTERM)
        # The new one takes over the file of the number when the old one has ended.
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip() not in ("", str(old)))
        load.await_more(20)
        known = load.answers["first"]
        load.await_more(20)
        assert load.answers["first"] == known
    assert set(load.answers) == {"200", "first", "second"}
