"""Keys, signatures and envelopes."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from shapeshifter_uftp import uftp
from shapeshifter_uftp.exceptions import InvalidSignatureException, InvalidValue, SchemaException
from shapeshifter_uftp.reading import parse, schema_errors
from shapeshifter_uftp.sealing import (
    KeyPair,
    envelope_from_xml,
    envelope_to_xml,
    generate_key_pair,
    open_sealed,
    public_key_text,
    read_private_key,
    read_public_keys,
    seal_message,
    seal_xml,
    unseal_message,
)

# The example in the specification, "Cryptography": a signing key and an encryption key.
SPEC_KEY = "cs1.V4lZrkYHq8FzneXxUML+QEMXMul3tBm+gPGoVDIZBA92VoWTu8/kRu2Zx72XOm1i/qwwoSgXjqSAqSa43myCaQ=="
KEYS = generate_key_pair(b"\x09" * 32)
SEALED = seal_xml(b"<TestMessage/>", KEYS.private_key)


@pytest.mark.parametrize("cls", list(uftp.routing_map))
def test_unsealing_undoes_sealing(cls, make_message, agr_keys):
    """The law of sealing: what is sealed and unsealed is the same message."""
    message = make_message(cls)
    assert unseal_message(seal_message(message, agr_keys.private_key), agr_keys.public_key) == message


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, change):
    """Whichever byte of a sealed message changes, it is refused."""
    changed = bytearray(SEALED)
    changed[position] ^= change
    with pytest.raises(InvalidSignatureException):
        open_sealed(bytes(changed), read_public_keys(KEYS.public_key))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_nobody_sealed_are_refused(blob):
    """Arbitrary bytes are never taken for sealed ones."""
    with pytest.raises(InvalidSignatureException):
        open_sealed(blob, read_public_keys(KEYS.public_key))


def test_the_wrong_key_is_refused(agr_keys, dso_keys):
    """A message signed by somebody else is refused."""
    with pytest.raises(InvalidSignatureException):
        open_sealed(seal_xml(b"x", agr_keys.private_key), read_public_keys(dso_keys.public_key))


def test_during_rotation_either_key_fits(agr_keys, dso_keys):
    """A record with two keys verifies messages of the old and the new one."""
    both = f"cs1.{agr_keys.public_key} cs1.{dso_keys.public_key}"
    for pair in (agr_keys, dso_keys):
        assert open_sealed(seal_xml(b"x", pair.private_key), read_public_keys(both)) == b"x"


def test_keys_from_a_seed_are_those_of_libsodium(samples, agr_keys, dso_keys):
    """Seeds of 32 ones and 32 twos give the pairs that crypto_sign_seed_keypair gave elsewhere."""
    known = json.loads((samples / "peer-emitted" / "keys.json").read_text())
    assert agr_keys.private_key == known["agr.example.com AGR"]["private"]
    assert dso_keys.public_key == known["dso.example.com DSO"]["public"]


def test_a_seed_is_a_private_key_too(agr_keys):
    """A private key may be given as its 32-byte seed."""
    seed = base64.b64encode(b"\x01" * 32).decode()
    assert len(seed) == 44
    assert read_private_key(seed) == read_private_key(agr_keys.private_key)
    assert public_key_text(seed) == agr_keys.public_key


def test_the_key_of_the_specification_is_read():
    """The specification's example has a signing key, and an encryption key that is not used."""
    (key,) = read_public_keys(SPEC_KEY)
    assert key == base64.b64decode(SPEC_KEY[4:])[:32]
    assert len(SPEC_KEY) == 92


def test_a_published_key_without_encryption_key_is_read(agr_keys):
    """``cs1.`` may be followed by a signing key alone: 48 characters."""
    assert len(agr_keys.published) == 48
    assert read_public_keys(agr_keys.published) == read_public_keys(agr_keys.public_key)


@pytest.mark.parametrize(
    "text", ["", "   ", "cs1.", "not base64!", "QUJD", SPEC_KEY[4:], "cs2." + SPEC_KEY[4:]]
)
def test_texts_that_are_no_public_key_are_refused(text):
    """A public key has 32 bytes, or 64 after cs1."""
    with pytest.raises(InvalidValue):
        read_public_keys(text)


def test_a_damaged_private_key_is_refused(agr_keys):
    """A private key whose public half does not fit would sign what nobody can verify."""
    raw = bytearray(base64.b64decode(agr_keys.private_key))
    raw[40] ^= 1
    with pytest.raises(InvalidValue, match="damaged"):
        read_private_key(base64.b64encode(raw).decode())
    with pytest.raises(InvalidValue, match="64 bytes"):
        read_private_key("QUJD")


def test_a_private_key_does_not_show_itself(agr_keys):
    """A key pair can be logged without giving the private key away."""
    assert agr_keys.private_key not in repr(agr_keys)
    assert isinstance(agr_keys, KeyPair)


def test_envelopes_are_valid_and_read_again():
    """An envelope is valid by the schema and comes back as it was."""
    envelope = uftp.SignedMessage(sender_domain="agr.example.com", sender_role=uftp.UsefRole.AGR, body=SEALED)
    xml = envelope_to_xml(envelope)
    assert schema_errors(parse(xml)) == []
    assert envelope_from_xml(xml) == envelope


@pytest.mark.parametrize(
    "form",
    [
        '<SignedMessage SenderDomain="agr.example.com" SenderRole="AGR" Body="{b}"/>',
        "<SignedMessage Body='{b}' SenderRole='AGR' SenderDomain='agr.example.com'/>",
        "<?xml version='1.0'?><!-- --><SignedMessage SenderDomain='agr.example.com' SenderRole='AGR' Body=' {w} '/>",
        '\ufeff<SignedMessage SenderDomain="agr.example.com" SenderRole="AGR" Body="{b}"/>',
    ],
)
def test_envelopes_of_any_form_are_read(form):
    """Order of attributes, quotes, declaration, comments, a byte order mark and white space in Body do not matter."""
    text = base64.b64encode(SEALED).decode()
    xml = form.format(b=text, w="\n ".join(text[i : i + 40] for i in range(0, len(text), 40))).encode()
    assert envelope_from_xml(xml).body == SEALED


@pytest.mark.parametrize(
    "xml",
    [
        b"", b"<", b"hello", b"<SignedMessage/>", b"<Other/>",
        b'<SignedMessage SenderDomain="localhost" SenderRole="AGR" Body="QUJD"/>',
        b'<SignedMessage SenderDomain="a.example.com" SenderRole="BRP" Body="QUJD"/>',
        b'<SignedMessage SenderDomain="a.example.com" SenderRole="AGR" Body="***"/>',
        b'<SignedMessage SenderDomain="a.example.com" SenderRole="AGR" Body="QUJD" More="1"/>',
        b'<SignedMessage SenderDomain="a.example.com" SenderRole="AGR" Body="QUJD"><More/></SignedMessage>',
        b'<SignedMessage SenderDomain="A.example.com" SenderRole="AGR" Body="QUJD"/>',
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(xml):
    """An envelope has exactly its three attributes, with proper values."""
    with pytest.raises(SchemaException):
        envelope_from_xml(xml)


BOMB = (
    b'<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<SignedMessage SenderDomain="a.example.com" SenderRole="AGR" Body="&c;"/>'
)


@pytest.mark.parametrize(
    "xml",
    [
        BOMB,
        b'<!DOCTYPE b SYSTEM "file:///etc/passwd"><SignedMessage/>',
        b"<?xml version='1.0'?><!doctype x><SignedMessage/>",
        BOMB.decode().encode("utf-16"),
        ('<?xml version="1.0" encoding="utf-16"?>' + BOMB.decode()).encode("utf-16-le"),
        ('<?xml version="1.0" encoding="cp037"?>' + BOMB.decode()).encode("cp037"),
        b'<?xml version="1.0" encoding="utf-7"?>+ADw-SignedMessage/+AD4-',
    ],
)
def test_document_types_are_refused_in_any_disguise(xml):
    """A document type or an entity is refused, also in encodings in which the search for it sees nothing."""
    with pytest.raises(SchemaException):
        envelope_from_xml(xml)


def test_entities_are_never_expanded():
    """The parser itself resolves no entity, should a document type ever slip through."""
    with pytest.raises(SchemaException):
        parse(b"<a>&undefined;</a>")
    assert etree.LXML_VERSION >= (5, 2)
