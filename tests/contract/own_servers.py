"""PostgreSQL, Redis and pgbouncer from packages of the machine; `make test DB=external` runs on them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

NOBODY = 65534
PATIENCE = 60.0  # for a server to answer [s]


@dataclass(frozen=True)
class OwnServers:
    """Running servers.

    Attributes:
        database_uri: Of PostgreSQL itself.
        redis_url: Of Redis.
        pooled_uri: Of the database through pgbouncer, by transaction; None where that is not installed.
    """

    database_uri: str
    redis_url: str
    pooled_uri: str | None


def missing() -> str:
    """Say which packages are not installed; nothing if all are there."""
    lacking = [name for name, found in (("postgresql", POSTGRES), ("redis-server", REDIS)) if not found]
    return f"not installed: {', '.join(lacking)} (Debian: apt-get install)" if lacking else ""


@contextmanager
def own_servers() -> Iterator[OwnServers]:
    """Start the servers in a folder of their own, and stop them in the end."""
    folder = Path(tempfile.mkdtemp(prefix="fm-own-", dir="/tmp"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    started: list[subprocess.Popen[bytes]] = []
    try:
        port = free_port()
        data, program = folder / "data", POSTGRES[-1]
        _run(
            folder,
            program.with_name("initdb"),
            "-D",
            data,
            "-U",
            "flex",
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
        )
        options = (
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            folder,
            "-c",
            "fsync=off",
            "-c",
            "listen_addresses=127.0.0.1",
        )
        started.append(_start(folder, program, *options))
        uri, template = (f"postgresql://flex@127.0.0.1:{port}/{name}" for name in ("flex", "template1"))
        wait_for(lambda: psycopg.connect(template).close())
        _run(folder, program.with_name("createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "flex", "flex")
        redis_port = free_port()
        started.append(
            _start(folder, str(REDIS), "--port", str(redis_port), "--save", "", "--appendonly", "no")
        )
        url = f"redis://127.0.0.1:{redis_port}/0"
        wait_for(lambda: redis.Redis.from_url(url).ping())
        pooled = None
        if PGBOUNCER:
            pooled_port = free_port()
            started.append(_start(folder, PGBOUNCER, _pool(folder, port, pooled_port)))
            pooled = f"postgresql://flex@127.0.0.1:{pooled_port}/flex"
            wait_for(lambda: psycopg.connect(pooled).close())
        yield OwnServers(uri, url, pooled)
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _pool(folder: Path, port: int, pooled_port: int) -> Path:
    """Write the file of deploy/pgbouncer for these servers: other ports, and no password."""
    text = (Path(__file__).parents[2] / "deploy/pgbouncer/pgbouncer.ini").read_text()
    users = folder / "userlist.txt"
    users.write_text('"flex" ""\n')
    changes = {
        "flexmeasures = host=127.0.0.1 port=5432 dbname=flexmeasures": f"flex = host=127.0.0.1 port={port} dbname=flex",
        "listen_port = 6432": f"listen_port = {pooled_port}",
        "auth_type = scram-sha-256": "auth_type = trust",
        "/etc/pgbouncer/userlist.txt": str(users),
    }
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    path = folder / "pgbouncer.ini"
    path.write_text(f"{text}unix_socket_dir =\n")
    return path


def _words(*words: object) -> list[str]:
    prefix = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return [*(prefix if os.geteuid() == 0 else []), *(str(word) for word in words)]


def _run(folder: Path, *words: object) -> None:
    subprocess.run(_words(*words), check=True, cwd=folder, capture_output=True)


def _start(folder: Path, *words: object) -> subprocess.Popen[bytes]:
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(_words(*words), cwd=folder, stdout=output, stderr=output)


def free_port() -> int:
    """Find a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for(attempt: Callable[[], object]) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            attempt()
        except (psycopg.OperationalError, redis.RedisError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
