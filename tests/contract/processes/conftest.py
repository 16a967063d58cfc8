"""The commands that stay: ``flexmeasures run`` and ``flexmeasures jobs run-worker``, as real processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis
from rq.job import Job

from flexmeasures.data.embedded import EmbeddedServices
from flexmeasures.jobs.queues import get_queue

PATIENCE = (
    30.0  # for anything that should take a second or two; machines of continuous integration are slow [s]
)


class Command:
    """A running ``flexmeasures`` command, whose output goes to a file."""

    def __init__(self, output_path: Path) -> None:
        self._output_path = output_path

    @property
    def output(self) -> str:
        """What it and its children have said until now."""
        return self._output_path.read_text() if self._output_path.exists() else ""

    def await_output(self, text: str, times: int = 1) -> str:
        """Wait for a line that holds this text, once or more often; returns the last one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ended = self.has_ended()
            lines = [line for line in self.output.splitlines() if text in line]
            if len(lines) >= times:
                return lines[-1]
            assert not ended, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command, not to its children."""
        os.kill(self.pid, number)


class RealCommand(Command):
    """A command as users start it."""

    def __init__(self, instance_path: Path, output_path: Path, *words: str) -> None:
        super().__init__(output_path)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FL")}
        with output_path.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flexmeasures", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, "FLEXMEASURES_INSTANCE_PATH": str(instance_path)},
            )
        self.pid = self._process.pid

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def await_end(self) -> int:
        """Wait for its end; returns its exit code, or the negative number of the signal that killed it."""
        return self._process.wait(PATIENCE)


# Importing the platform takes longer than most tests: workers are forked from a process that has done so.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["flexmeasures.app", "flexmeasures.cli.jobs", "flexmeasures.cli.run"])

_FORKED = """
import atexit, os, sys
os.environ["FLEXMEASURES_INSTANCE_PATH"] = instance_path
output = os.open(output_path, os.O_WRONLY | os.O_CREAT, 0o600)
os.dup2(output, 1)
os.dup2(output, 2)
sys.argv = ["flexmeasures", *words]
from flexmeasures.cli import main
try:
    main()
finally:
    atexit._run_exitfuncs()
"""


class ForkedCommand(Command):
    """A command which began with everything imported."""

    def __init__(self, instance_path: Path, output_path: Path, *words: str) -> None:
        super().__init__(output_path)
        names = {"instance_path": str(instance_path), "output_path": str(output_path), "words": words}
        self._process = _forks.Process(target=exec, args=(_FORKED, names))
        self._process.start()
        self.pid = self._process.pid

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return not self._process.is_alive()

    def await_end(self) -> int | None:
        """Wait for its end; returns its exit code, or the negative number of the signal that killed it."""
        self._process.join(PATIENCE)
        return self._process.exitcode


class Platform:
    """One instance of the platform, with the commands that run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.patience = PATIENCE
        self.services = EmbeddedServices(path)
        self.store = redis.Redis.from_url(self.services.redis_url)
        self.commands: list[Command] = []

    def start(self, *words: str, kind: type[Command] = RealCommand) -> Command:
        """Start a command of this instance."""
        output_path = self.path.with_name(f"{self.path.name}-output-{len(self.commands)}")
        self.commands.append(kind(self.path, output_path, *words))
        return self.commands[-1]

    def fork(self, *words: str) -> Command:
        """Start a command of this instance the fast way."""
        return self.start(*words, kind=ForkedCommand)

    def start_worker(self, name: str) -> Command:
        """Start a worker and wait until it is there."""
        worker = self.fork("jobs", "run-worker", "--queue", "scheduling|forecasting", "--name", name)
        worker.await_output("runs the jobs of")
        return worker

    def processes(self) -> list[psutil.Process]:
        """All living processes of this instance but ourselves."""
        own = [one for one in psutil.process_iter(["cmdline"]) if self._is_ours(one)]
        return [one for one in own if one.pid != os.getpid()]

    def _is_ours(self, process: psutil.Process) -> bool:
        words = process.info["cmdline"]  # none if it is dead
        # What was forked has the command line and environment of the process it was forked from.
        if words and process.pid in [command.pid for command in self.commands]:
            return True
        with contextlib.suppress(psutil.Error):
            told = process.environ().get("FLEXMEASURES_INSTANCE_PATH")
            return bool(words) and (told == str(self.path) or any(str(self.path) in word for word in words))
        return False

    def await_silence(self) -> list[psutil.Process]:
        """Wait until nothing of this instance runs; returns what still does."""
        self.await_that(lambda: not self.processes())
        return self.processes()

    def remains(self) -> list[str]:
        """What a stopped instance should not leave: locks, sockets, pid files."""
        names = ("*.lock", "run*", "postgres/postmaster.pid", "valkey/*.pid")
        return [str(path) for name in names for path in self.path.glob(name)]

    def kill_everything(self) -> None:
        """Kill all processes of the instance."""
        while found := self.processes():
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.01)
        for command in self.commands:
            command.await_end()

    def await_that(self, condition: Callable[[], object]) -> bool:
        """Wait until something is the case; returns whether it is."""
        deadline = time.monotonic() + self.patience
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def enqueue(self, function: str, *arguments: object, queue: str = "scheduling") -> Job:
        """Enqueue a job by the name of its function; the job store must be running."""
        return get_queue(self.store, queue).enqueue(function, *arguments, job_timeout=60, result_ttl=600)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance that has been started once, with its schema; copying it is faster than making one."""
    path = tmp_path_factory.mktemp("template") / "instance"
    platform = Platform(path)
    command = platform.start("run", "--port", "0", "--no-worker")
    try:
        command.await_output("Running on")
        command.send(signal.SIGTERM)
        assert command.await_end() == 0, command.output
    finally:
        platform.kill_everything()
    return path


@pytest.fixture
def used_folder(tmp_path: Path, template: Path) -> None:
    """Let the instance of a test have its database already."""
    subprocess.run(["cp", "-a", str(template), str(tmp_path / "instance")], check=True)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """An instance of the platform, not running."""
    platform = Platform(tmp_path / "instance")
    yield platform
    platform.store.close()
    platform.services.leave()
    platform.kill_everything()
