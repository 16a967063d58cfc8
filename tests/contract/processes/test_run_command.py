"""``flexmeasures run``: one command, one terminal, and nothing left when it ends."""

from __future__ import annotations

import re
import signal
import socket
import urllib.request

import psutil
import pytest
from rq.job import JobStatus

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("used_folder")]


def _serve(platform, *words, start=None):
    command = (start or platform.fork)("run", "--port", "0", *words)
    line = command.await_output("Running on")
    return command, re.search(r"http://\S+:\d+", line)[0]


def _get(address: str) -> int:
    with urllib.request.urlopen(f"{address}/api/") as answer:
        return answer.status


def _find_worker(platform) -> psutil.Process | None:
    workers = [one for one in platform.processes() if "run-worker" in one.cmdline()]
    # While it runs a job, a worker has a copy of itself as a child.
    return min(workers, key=lambda one: one.create_time(), default=None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything(platform, number):
    """Ctrl-C and SIGTERM end server, worker and services with code 0, and leave nothing."""
    command, address = _serve(platform, start=platform.start)
    command.await_output("runs the jobs of")
    assert _get(address) == 200
    assert str(platform.path) in command.output
    command.send(number)
    assert command.await_end() == 0
    assert platform.processes() == []
    assert platform.remains() == []
    assert "Traceback" not in command.output
    assert "Error" not in command.output
    assert "development server" not in command.output


def test_it_may_be_stopped_before_it_is_ready(platform):
    """A signal at any time of the start ends it cleanly, too."""
    command = platform.fork("run", "--port", "0")
    command.await_output("serves")
    command.send(signal.SIGTERM)
    assert command.await_end() == 0
    assert platform.await_silence() == []
    assert platform.remains() == []
    assert "Traceback" not in command.output


def test_killed_it_takes_its_worker_and_the_services_with_it(platform):
    """After kill -9 the worker notices, ends in order, and as the last one stops the services."""
    command, _ = _serve(platform)
    command.await_output("runs the jobs of")
    command.send(signal.SIGKILL)
    command.await_end()
    assert platform.await_silence() == []
    assert platform.remains() == []


def test_everything_killed_starts_again(platform):
    """After kill -9 of server, worker, database and job store together, the next start serves."""
    command, _ = _serve(platform)
    command.await_output("runs the jobs of")
    platform.kill_everything()
    command, address = _serve(platform, "--no-worker")
    assert _get(address) == 200


def test_a_taken_port_is_said_in_one_line(platform):
    """If somebody listens on the port already, nothing is started, and the message tells how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = platform.fork("run", "--port", str(port))
        assert command.await_end() == 1
    message = command.output.splitlines()
    assert len(message) == 1
    assert str(port) in message[0]
    assert "--port" in message[0]
    assert platform.processes() == []


def test_a_second_server_and_other_commands_share_the_services(platform):
    """A second server and a command of the instance use the running services; the last one stops them."""
    first, _ = _serve(platform, "--no-worker")
    servers = {one.pid for one in platform.processes() if one.pid != first.pid}
    second, other_address = _serve(platform, "--no-worker")
    clear = platform.fork("clear-queue", "--queue", "forecasting")
    assert clear.await_end() == 0, clear.output
    assert _find_worker(platform) is None
    first.send(signal.SIGTERM)
    assert first.await_end() == 0
    assert _get(other_address) == 200
    assert servers & {one.pid for one in platform.processes()}
    second.send(signal.SIGTERM)
    assert second.await_end() == 0
    assert platform.processes() == []
    assert platform.remains() == []


def test_a_dead_worker_is_replaced(platform):
    """If its worker dies, the server says so and starts another one; a closed terminal ends both."""
    command, _ = _serve(platform)
    command.await_output("runs the jobs of")
    dead = _find_worker(platform)
    dead.kill()
    command.await_output("another one starts")
    command.await_output("runs the jobs of", times=2)
    assert _find_worker(platform) not in (None, dead)
    command.send(signal.SIGHUP)
    assert command.await_end() == 0
    assert platform.processes() == []


def test_a_crash_of_the_worker_is_not_hidden(platform):
    """A worker that ends by itself is said to have crashed, and the server's own status tells it at the end."""
    command, _ = _serve(platform)
    command.await_output("runs the jobs of")
    _find_worker(platform).send_signal(signal.SIGABRT)
    command.await_output(f"The worker crashed (status {-signal.SIGABRT}); another one starts")
    command.send(signal.SIGTERM)
    assert command.await_end() == 1
    assert "Error: The worker crashed once" in command.output
    assert platform.processes() == []


def test_with_the_reloader_there_is_one_worker(platform):
    """With --reload the watching process owns worker and services, and its end leaves nothing either."""
    command, address = _serve(platform, "--reload", start=platform.start)
    command.await_output("runs the jobs of")
    assert platform.await_that(lambda: _answers(address))
    assert len([one for one in platform.processes() if "run-worker" in one.cmdline()]) == 1
    command.send(signal.SIGTERM)
    assert command.await_end() == 0
    assert platform.await_silence() == []
    assert platform.remains() == []


def _answers(address: str) -> bool:
    try:
        return _get(address) == 200
    except OSError:
        return False


def test_a_long_job_can_be_left_to_the_next_worker(platform):
    """The server waits for its worker to finish a job; a second signal leaves the job to the next worker."""
    command, _ = _serve(platform)
    command.await_output("runs the jobs of")
    job = platform.enqueue("time.sleep", 60)
    assert platform.await_that(lambda: job.get_status() == JobStatus.STARTED)
    command.send(signal.SIGINT)
    command.await_output("finishing its job")
    command.send(signal.SIGINT)
    assert command.await_end() == 0
    assert platform.processes() == []
    assert platform.remains() == []
    platform.services.ensure_postgres()
    platform.services.ensure_valkey()
    platform.start_worker("next")
    assert platform.await_that(lambda: job.get_status() == JobStatus.STARTED)


def test_slow_connections_shut_nobody_out(platform):
    """While three hundred clients send their requests very slowly, others are answered at once."""
    _, address = _serve(platform, "--no-worker")
    host, _, port = address.removeprefix("http://").rpartition(":")
    slow = [socket.create_connection((host, int(port)), timeout=10) for _ in range(300)]
    try:
        for number, one in enumerate(slow):
            one.sendall(b"POST /api/requestAuthToken HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n")
            if number % 2:
                one.sendall(b"\r\nx")
        assert [_get(address) for _ in range(3)] == [200, 200, 200]
    finally:
        for one in slow:
            one.close()
