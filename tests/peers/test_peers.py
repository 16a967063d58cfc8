"""Clients that are other people's work find our server to be as the standard has it."""

import pytest
from tests.peers.conftest import ROOT

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not (ROOT / ".venv-peers").exists(), reason="no peers are installed: make peers"),
]


def test_python_oa3_client(server):
    """It registers, hears of events by webhook and MQTT, polls and reports; each VEN sees its own."""
    assert server.tell("python-oa3-client") == {"topics": 4, "webhooks": 3, "mqtt": 1}


def test_toadr3(server):
    """It reads programmes and events by name and target, reports, and subscribes in verbs of HTTP."""
    assert server.tell("toadr3") == {"events": 3, "reports": 1, "subscriptions": 1}


@pytest.mark.parametrize("version", ["3.1.0", "3.0.1"])
def test_openadr3_client(server, version):
    """Business logic and VEN of both versions understand each other through the server."""
    assert server.tell("openadr3-client", version) == {"events": 2, "reports": 1}
