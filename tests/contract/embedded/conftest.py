"""Instances of the embedded services, and other processes that use one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from flexmeasures.data.embedded import EmbeddedServices

MEMBER = """
import sys
from pathlib import Path
from flexmeasures.data.embedded import EmbeddedServices
services = EmbeddedServices(Path(sys.argv[1]), fast=True)
services.ensure_postgres()
services.ensure_valkey()
print("ready", flush=True)
sys.stdin.read()
"""


class Instance:
    """One instance folder, looked at from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.services = EmbeddedServices(path, fast=True)
        self.members: list[subprocess.Popen[str]] = []

    def start(self) -> None:
        """Make this process a member, with both servers."""
        self.services.ensure_postgres()
        self.services.ensure_valkey()

    def start_member(self, prefix: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
        """Start another process which is a member until its standard input is closed."""
        member = subprocess.Popen(
            [*prefix, sys.executable, "-c", MEMBER, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, **environment},
        )
        self.members.append(member)
        return member

    def await_member(self, member: subprocess.Popen[str]) -> None:
        """Wait until it is a member."""
        assert member.stdout is not None
        assert member.stdout.readline() == "ready\n"

    def end_member(self, member: subprocess.Popen[str]) -> None:
        """Let it end in order."""
        member.communicate("", timeout=30)
        assert member.returncode == 0

    def sql(self, query: str) -> list[tuple]:
        """Ask the database."""
        uri = self.services.database_uri.replace("+psycopg", "")
        with contextlib.closing(psycopg.connect(uri, autocommit=True)) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def redis(self) -> redis.Redis:
        """Connect to the job store."""
        return redis.Redis.from_url(self.services.redis_url)

    def servers(self) -> dict[str, int]:
        """The server processes of this instance, by name; children such as sessions have other names."""
        found = {}
        for process in psutil.process_iter(["pid", "cmdline"]):
            command = process.info["cmdline"] or []
            if any(str(self.path) == argument.rpartition("/")[0] for argument in command):
                name = Path(command[0]).name
                found[name] = min(process.info["pid"], found.get(name, 1 << 40))
        return found

    def remains(self) -> list[str]:
        """What a stopped instance should not leave: locks, sockets, pid files."""
        names = ("*.lock", "run*", "postgres/postmaster.pid", "valkey/*.pid")
        return [str(path) for name in names for path in self.path.glob(name)]

    def kill_everything(self) -> None:
        """Kill members and servers, all without warning."""
        for member in self.members:
            member.kill()
            member.communicate()
        while processes := self._find_processes():
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.01)

    def _find_processes(self) -> list[psutil.Process]:
        # Dead ones that nobody has buried yet have no command line.
        every = psutil.process_iter(["cmdline"])
        return [one for one in every if any(str(self.path) in word for word in one.info["cmdline"] or [])]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance that has been started once; copying it is faster than starting one for the first time."""
    path = tmp_path_factory.mktemp("template") / "instance"
    services = EmbeddedServices(path, fast=True)
    services.ensure_postgres()
    services.leave()
    return path


@pytest.fixture
def make_instance(tmp_path: Path, template: Path) -> Iterator[Callable[..., Instance]]:
    """Make instances that end with the test, used before or new."""
    made: list[Instance] = []

    def make(name: str | Path, new: bool = False) -> Instance:
        made.append(Instance(tmp_path / name))
        if not new:
            made[-1].path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", str(template), str(made[-1].path)], check=True)
        return made[-1]

    yield make
    for instance in made:
        instance.services.leave()
        instance.kill_everything()


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    """One instance, used before, not running."""
    return make_instance("instance")


@pytest.fixture
def new_instance(make_instance: Callable[..., Instance]) -> Instance:
    """One instance of which there is nothing yet."""
    return make_instance("instance", new=True)
