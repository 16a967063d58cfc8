"""Every message as an independent implementation wrote and signed it."""

import json
from pathlib import Path

import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.json_form import from_json
from shapeshifter_uftp.sealing import (
    envelope_from_xml,
    read_private_key,
    seal_message,
    seal_xml,
    unseal_message,
)

GOLDEN = Path(__file__).parent / "golden"
KEYS = json.loads((Path(__file__).parent / "samples" / "peer-emitted" / "keys.json").read_text())


@pytest.mark.parametrize("cls", list(uftp.routing_map))
def test_the_golden_file_holds_the_message(cls):
    """What the other implementation signed is verified, read, and equal to the message it was made from."""
    envelope = envelope_from_xml((GOLDEN / f"{cls.__name__}.signed.xml").read_bytes())
    keys = KEYS[f"{envelope.sender_domain} {envelope.sender_role}"]
    message = unseal_message(envelope.body, keys["public"])
    assert message == from_json((GOLDEN / f"{cls.__name__}.json").read_text(), cls)
    assert unseal_message(seal_message(message, keys["private"]), keys["public"]) == message


def test_the_same_key_signs_the_same_bytes_alike():
    """Ed25519 leaves no choice: signing the golden bytes again gives the golden signature."""
    for path in GOLDEN.glob("*.signed.xml"):
        envelope = envelope_from_xml(path.read_bytes())
        private = KEYS[f"{envelope.sender_domain} {envelope.sender_role}"]["private"]
        assert seal_xml(envelope.body[64:], private) == envelope.body
        assert len(read_private_key(private)) == 64
