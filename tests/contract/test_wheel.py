"""A wheel, built and installed elsewhere: nothing that it needs is left behind in the checkout."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # for anything that should take a second or two [s]
PASSWORD = "correct horse battery"

# In the server's worker, the first job is followed by a mistake within rq's own loop.
BROKEN_WORKER = """
import sys
if "run-worker" in sys.argv:
    import rq
    execute = rq.Worker.execute_job
    def break_after(self, *words, **named):
        execute(self, *words, **named)
        raise TypeError("one argument more than before")
    rq.Worker.execute_job = break_after
"""


def _run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **options
    )


def _list_tracked() -> list[str]:
    """List the files of the packages that git knows, those that are about to be added included."""
    listed = _run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from what git knows in a folder of its own."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in _list_tracked():
        if name.startswith("src/") or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", built)
    done = _run(sys.executable, "-m", "pip", "wheel", *options, source)
    assert done.returncode == 0, done.stderr
    (path,) = built.glob("*.whl")
    return path


@dataclass(frozen=True)
class Installation:
    """The wheel, installed in an environment of its own.

    Attributes:
        folder: The environment.
        work: A folder to work in.
    """

    folder: Path
    work: Path

    def environment(self, **settings: str) -> dict[str, str]:
        """Build the environment of a command: nothing of the checkout and of this process's settings."""
        hidden = ("FLASK", "FLEX", "PYTHON", "SQLALCHEMY", "MAIL")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        return {**kept, "FLEXMEASURES_INSTANCE_PATH": str(self.work / "instance"), **settings}

    def program(self, name: str) -> str:
        """Name the path of an installed command."""
        return str(self.folder / "bin" / name)

    def run(self, name: str, *words: str, **options: object) -> str:
        """Run an installed command to its end, which must be good; returns what it wrote."""
        options = {"env": self.environment(), "cwd": self.work, **options}
        done = _run(self.program(name), *words, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel installed elsewhere; the packages that it needs are those of this environment."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "venv", with_pip=False)
    (folder / "work").mkdir()
    (site,) = (folder / "venv").glob("lib/*/site-packages")
    # Folders that a .pth file names are searched last, and the .pth files in them are not read: no checkout follows.
    needed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "needed.pth").write_text("\n".join(needed) + "\n")
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--ignore-installed")
    done = _run(*pip, "--no-deps", "--no-index", wheel)
    assert done.returncode == 0, done.stderr
    where = _run(python, "-c", "import flexmeasures; print(flexmeasures.__file__)", cwd=folder)
    assert where.stdout.startswith(str(site)), where.stdout + where.stderr
    return Installation(folder / "venv", folder / "work")


class _Postbox(MessageHandler):
    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.mails.append(message)


@pytest.fixture
def postbox() -> Iterator[tuple[int, list[Message]]]:
    """A real SMTP server: its port, and the mails that it got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = _Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield port, box.mails
    controller.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(installed: Installation, postbox: tuple[int, list[Message]]) -> Iterator[str]:
    """The installed platform, serving; gives its address."""
    port = _free_port()
    environment = installed.environment(MAIL_SERVER="127.0.0.1", MAIL_PORT=str(postbox[0]))
    log = installed.work / "server.log"
    with log.open("wb") as output:
        words = [installed.program("flexmeasures"), "run", "--no-worker", "--port", str(port)]
        process = subprocess.Popen(words, env=environment, cwd=installed.work, stdout=output, stderr=output)
    address = f"http://localhost:{port}"
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx.get(f"{address}/api/").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        else:
            raise AssertionError(log.read_text())
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def test_a_wheel_holds_what_git_knows(wheel):
    """Each file of the packages, of whatever kind, is in the wheel, and nothing else is."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = {name.removeprefix("src/") for name in _list_tracked() if name.startswith("src/")}
    assert packed == tracked | {"flexmeasures/_build.py"}


def test_a_wheel_knows_its_version(wheel, installed):
    """The command, the metadata and the name of the file tell one version: that of the files it was built from."""
    version = wheel.name.split("-")[1]
    assert re.fullmatch(r"0\.4\.0\+src\.[0-9a-f]{8}", version)
    assert installed.run("flexmeasures", "--version") == f"FlexMeasures, version {version}\n"


def test_a_source_distribution_builds_the_same_version(tmp_path):
    """The archive holds all that git knows; a wheel built from it has its version, and both are fit for an index."""
    source = tmp_path / "source"
    for name in _list_tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    code = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
    done = _run(sys.executable, "-c", code, tmp_path, cwd=source)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
        packed.extractall(tmp_path / "unpacked", filter="data")
    missing = {name for name in _list_tracked() if not name.startswith(".")} - names
    assert missing == set()
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path)
    done = _run(sys.executable, "-m", "pip", "wheel", *options, unpacked)
    assert done.returncode == 0, done.stderr
    (built,) = tmp_path.glob("*.whl")
    assert built.name.split("-")[1] == archive.name.removeprefix("flexmeasures-").removesuffix(".tar.gz")
    pytest.importorskip("twine")
    checked = _run(sys.executable, "-W", "ignore", "-m", "twine", "check", "--strict", archive, built)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_demonstration_runs_elsewhere(installed):
    """The installed demonstration schedules its site and draws its chart."""
    told = installed.run("flexmeasures", "demo")
    assert re.search(r"^Saving +\d+\.\d\d EUR$", told, re.MULTILINE), told
    assert (installed.work / "instance" / "demo" / "schedule.html").exists()


def test_the_demonstration_fails_when_its_worker_crashes(installed, tmp_path):
    """A worker that crashes between two jobs is replaced, so all comes out; the demonstration fails all the same."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN_WORKER)
    environment = installed.environment(
        PYTHONPATH=str(tmp_path), FLEXMEASURES_INSTANCE_PATH=str(tmp_path / "instance")
    )
    done = _run(installed.program("flexmeasures"), "demo", env=environment, cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "The server or its worker crashed" in done.stderr
    assert "one argument more than before" in (tmp_path / "instance" / "demo" / "server.log").read_text()


def test_a_password_is_reset_elsewhere(installed, server, postbox):
    """The mails of a reset are written from installed templates, and their link leads to a page."""
    installed.run("flexmeasures", "add", "structure")
    words = ("add", "user", "--username", "me", "--email", "me@example.com", "--roles", "admin")
    installed.run("flexmeasures", *words, "--password-stdin", input=f"{PASSWORD}\n")
    login = {"email": "me@example.com", "password": PASSWORD}
    token = httpx.post(f"{server}/api/requestAuthToken", json=login).json()["auth_token"]
    answer = httpx.patch(f"{server}/api/v2_0/user/1/password-reset", headers={"Authorization": token})
    assert answer.status_code == 200, answer.text
    _, mails = postbox
    assert len(mails) == 2
    texts = [
        part.get_payload(decode=True).decode()
        for mail in mails
        for part in mail.walk()
        if not part.is_multipart()
    ]
    (path,) = {found[1] for text in texts if (found := re.search(r"http://[^/\s]+(/reset/[^\s\"<]+)", text))}
    assert httpx.get(f"{server}{path}").status_code == 200


def test_the_schema_is_upgraded_elsewhere(installed):
    """The installed migrations lead from the first revision to the newest one."""
    newest = installed.run("flexmeasures", "db", "heads").split()[0]
    installed.run("flexmeasures", "db", "downgrade", "base")
    installed.run("flexmeasures", "db", "upgrade")
    assert newest in installed.run("flexmeasures", "db", "current")


def test_a_trading_day_is_played_elsewhere(installed):
    """The installed UFTP library trades a day: its schemas come along."""
    assert re.search(r"EUR are paid to the aggregator", installed.run("shapeshifter-uftp", "demo"))
