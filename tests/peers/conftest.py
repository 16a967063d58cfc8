"""The platform as users run it, with a real MQTT broker, and clients that are other people's work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.contract.streams.conftest import Broker

ROOT = Path(__file__).parents[2]
SECRET = "a secret of tests"
START = 300.0  # machines may be busy [s]
STORY = 300.0
CLIENTS = {
    name: {"secret": SECRET, "role": role}
    for name, role in (("bl", "bl"), ("ven-1", "ven"), ("ven-2", "ven"))
}


@dataclass(frozen=True)
class Server:
    """Our server: where it is, and how peers are let loose on it."""

    address: str

    def tell(self, peer: str, *words: str) -> Any:
        """Have a peer go through its story, in its own environment; returns what it saw."""
        python = ROOT / ".venv-peers" / peer / "bin" / "python"
        if not python.exists():
            pytest.skip(f"{peer} is not installed: make peers")
        script = Path(__file__).parent / f"{peer.replace('-', '_')}_story.py"
        hidden = ("PYTHONPATH", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        told = subprocess.run(
            [python, script, self.address, SECRET, *words],
            env=environment | {"OAUTHLIB_INSECURE_TRANSPORT": "1"},
            capture_output=True,
            text=True,
            timeout=STORY,
            check=False,
        )
        assert told.returncode == 0, f"{told.stdout}\n{told.stderr[-4000:]}"
        return json.loads(told.stdout.splitlines()[-1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker at which everybody may read what is public."""
    made = Broker(tmp_path, anonymous=True)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def server(broker: Broker) -> Iterator[Server]:
    """`flexmeasures run`, on a database of its own."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        instance, log = Path(folder), Path(folder) / "output"
        settings = {
            "FLEXMEASURES_OPENADR_CLIENTS": CLIENTS,
            "FLEXMEASURES_MQTT_BROKER_URL": broker.address,
            "FLEXMEASURES_STREAMS_ADDRESS": "127.0.0.1:0",
            # one of the clients has a webhook that answers every GET in the same way
            "FLEXMEASURES_OPENADR_ECHO": False,
        }
        text = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
        (instance / "flexmeasures.cfg").write_text(text)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FL")}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "flexmeasures", "run", "--port", "0"],
                env=environment | {"FLEXMEASURES_INSTANCE_PATH": folder},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            yield Server(_await_address(process, log))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _await_address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        said = log.read_text()
        assert process.poll() is None, said
        found = re.search(r"Running on (http://\S+:\d+)", said)
        if found and "Streams are served" in said:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())
