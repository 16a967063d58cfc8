"""The configuration for gunicorn that comes with the platform."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest


def _answer(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            _answer(port, "/api/")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("The server did not start.")


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="asks Linux for shared memory")
def test_workers_share_the_memory_of_the_loaded_application(tmp_path: Path) -> None:
    """Two workers and their parent, serving from the embedded stores, take less than two applications would alone."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--config", "python:flexmeasures.gunicorn_config"]
    environment = {**os.environ, "FLEXMEASURES_INSTANCE_PATH": str(tmp_path), "FLASK_ENV": "testing"}
    process = subprocess.Popen([*command, "--workers", "2", "--bind", f"127.0.0.1:{port}"], env=environment)
    try:
        _wait_for(process, port)
        assert {_answer(port, "/api/ops/ready") for _ in range(8)} == {200}
        parent = psutil.Process(process.pid)
        family = [parent, *(child for child in parent.children() if "gunicorn" in " ".join(child.cmdline()))]
        assert len(family) == 3
        alone = parent.memory_info().rss
        assert sum(one.memory_full_info().pss for one in family) < 2 * alone
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
