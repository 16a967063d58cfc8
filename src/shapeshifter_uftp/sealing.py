"""Keys, signatures and the envelope.

A sealed message is ``crypto_sign`` of libsodium: 64 bytes of Ed25519 signature, then the inner XML. It
travels as base64 in the attribute ``Body`` of a ``SignedMessage``. Nothing of the inner XML is looked at
before the signature is verified. Source: UFTP specification, "Cryptography", scheme CS1.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from nacl import bindings
from nacl.exceptions import BadSignatureError

from shapeshifter_uftp.exceptions import InvalidSignatureException, InvalidValue, SchemaException
from shapeshifter_uftp.reading import message_from_xml, parse, schema_errors
from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.payload import ENVELOPE_KINDS, PayloadMessage, SignedMessage
from shapeshifter_uftp.writing import message_to_xml

__all__ = [
    "KeyPair", "envelope_from_xml", "envelope_to_xml", "generate_key_pair", "open_sealed", "public_key_text",
    "read_private_key", "read_public_keys", "seal_message", "seal_xml", "unseal_message",
]  # fmt: skip

SIGNATURE_BYTES = 64
_SCHEME = "cs1."


def _decode(text: str | bytes, what: str) -> bytes:
    compact = b"".join((text.encode() if isinstance(text, str) else text).split())
    try:
        return binascii.a2b_base64(compact, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidValue(f"The {what} is not base64: {error}") from None


@lru_cache(maxsize=64)
def read_private_key(text: str) -> bytes:
    """Read a private key: base64 of the 64-byte libsodium form (88 characters) or of the 32-byte seed (44).

    Raises:
        InvalidValue: It is neither, or its public half does not belong to its seed.
    """
    key = _decode(text, "private key")
    if len(key) == 32:
        return bindings.crypto_sign_seed_keypair(key)[1]
    if len(key) != 64:
        raise InvalidValue(f"A private key has 64 bytes, or 32 as a seed; this one has {len(key)}")
    if bindings.crypto_sign_seed_keypair(key[:32])[1] != key:
        raise InvalidValue("The public half of this private key does not belong to its seed: it is damaged")
    return key


@lru_cache(maxsize=1024)
def read_public_keys(text: str) -> tuple[bytes, ...]:
    """Read one or two public signing keys (the old and the new one during rotation), separated by white space.

    Each is base64 of 32 bytes, or ``cs1.`` and base64 of the signing key alone or followed by an encryption
    key.

    Raises:
        InvalidValue: There is no key, or one has another form.
    """
    keys = tuple(_read_public_key(part) for part in text.split())
    if not keys:
        raise InvalidValue("There is no public key in an empty text")
    return keys


def _read_public_key(text: str) -> bytes:
    tagged = text.lower().startswith(_SCHEME)
    key = _decode(text[len(_SCHEME) :] if tagged else text, "public key")
    if len(key) != 32 and not (tagged and len(key) == 64):
        raise InvalidValue(
            f"A public key has 32 bytes, or 64 with an encryption key after cs1.; not {len(key)}"
        )
    return key[:32]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A signing key pair in its texts.

    Attributes:
        private_key: base64 of the 64-byte form; keep it secret.
        public_key: base64 of 32 bytes.
    """

    private_key: str
    public_key: str

    @property
    def published(self) -> str:
        """The text for a DNS record: ``cs1.`` and the public key."""
        return _SCHEME + self.public_key

    def __repr__(self) -> str:
        """Show the public half only: a private key must not end up in a log."""
        return f"KeyPair(public_key={self.public_key!r})"


def generate_key_pair(seed: bytes | None = None) -> KeyPair:
    """Make a new key pair; the same seed [32 bytes] gives the same pair."""
    public, private = bindings.crypto_sign_seed_keypair(seed) if seed else bindings.crypto_sign_keypair()
    return KeyPair(base64.b64encode(private).decode(), base64.b64encode(public).decode())


def public_key_text(private_key: str) -> str:
    """Give the public key, base64, that belongs to a private key."""
    return base64.b64encode(read_private_key(private_key)[32:]).decode()


def seal_xml(xml: bytes, private_key: str) -> bytes:
    """Sign inner XML: signature followed by the XML."""
    return bytes(bindings.crypto_sign(xml, read_private_key(private_key)))


def open_sealed(sealed: bytes, public_keys: Iterable[bytes]) -> bytes:
    """Verify sealed bytes with any of some public keys and give the inner XML.

    Raises:
        InvalidSignatureException: No key fits, or a byte was changed.
    """
    for key in public_keys:
        try:
            return bytes(bindings.crypto_sign_open(sealed, key))
        except (BadSignatureError, ValueError):
            continue
    raise InvalidSignatureException("The signature belongs to other bytes or to another key")


def seal_message(message: PayloadMessage, private_key: str) -> bytes:
    """Write and sign a message: the law is ``unseal_message(seal_message(m, private), public) == m``.

    Raises:
        InvalidValue: The message is not complete, or the key is none.
    """
    return seal_xml(message_to_xml(message), private_key)


def unseal_message(message: bytes, public_key: str) -> PayloadMessage:
    """Verify and read a sealed message.

    Args:
        message: Signature and inner XML: the decoded ``Body``.
        public_key: One or two keys, see `read_public_keys`.

    Raises:
        InvalidSignatureException: The signature is wrong; nothing was parsed.
        SchemaException: The inner XML is not a message.
    """
    return message_from_xml(open_sealed(message, read_public_keys(public_key)))


def envelope_to_xml(envelope: SignedMessage) -> bytes:
    """Write the envelope that goes over HTTP.

    Raises:
        InvalidValue: The domain or the role is none.
    """
    start = _envelope_start(envelope.sender_domain, envelope.sender_role)
    return b"".join((start, binascii.b2a_base64(envelope.body, newline=False), b'"/>'))


@lru_cache(maxsize=64)
def _envelope_start(sender_domain: str, sender_role: str) -> bytes:
    domain = ENVELOPE_KINDS["SenderDomain"].write(sender_domain)
    role = ENVELOPE_KINDS["SenderRole"].write(sender_role)
    attributes = f'SenderDomain="{domain}" SenderRole="{role}"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<SignedMessage {attributes} Body="'.encode()


# The envelope as practically everybody writes it. What fits is schema-valid (the pattern is narrower than the schema);
# what does not fit takes the long way through parser and schema.
_PLAIN_START = re.compile(
    rb"(?:<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'][Uu][Tt][Ff]-8[\"'])?\s*\?>\s*)?"
    rb'<SignedMessage\s+SenderDomain="((?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,})"\s+SenderRole="(AGR|CRO|DSO)"\s+Body="'
)
_PLAIN_ENDS = (b"/>", b"></SignedMessage>")


def _plain_envelope(xml: bytes) -> SignedMessage | None:
    start, end = _PLAIN_START.match(xml, 0, _LONGEST_FRAME), xml.rfind(b'"')
    if start is None or len(start[1]) > _LONGEST_DOMAIN or len(xml) - end > _LONGEST_FRAME:
        return None
    if xml[end + 1 :].strip() not in _PLAIN_ENDS:
        return None
    try:
        body = binascii.a2b_base64(memoryview(xml)[start.end() : end], strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    return SignedMessage(sender_domain=start[1].decode(), sender_role=UsefRole(start[2].decode()), body=body)


def envelope_from_xml(xml: bytes) -> SignedMessage:
    """Read an envelope; its claim about the sender is not verified yet.

    Raises:
        SchemaException: It is not a SignedMessage.
    """
    plain = _plain_envelope(xml)
    if plain is not None and plain.body:
        return plain
    frame, body = _cut_body(xml)
    root = parse(frame)
    errors = (
        schema_errors(root, "3.1.0") if root.tag == "SignedMessage" else ["the root is not a SignedMessage"]
    )
    if errors:
        raise SchemaException(f"Not as the schema of SignedMessage says: {'; '.join(errors)[:500]}")
    domain, role = root.get("SenderDomain"), root.get("SenderRole")
    if root.get("Body") != _STAND_IN:
        raise SchemaException(
            "The Body of a SignedMessage must be an attribute of it, and nothing else be called so"
        )
    if len(domain) > _LONGEST_DOMAIN:
        raise SchemaException(f"A domain has at most {_LONGEST_DOMAIN} characters")
    try:
        return SignedMessage(sender_domain=domain, sender_role=UsefRole(role), body=_decode(body, "Body"))
    except InvalidValue as error:
        raise SchemaException(str(error)) from None


# Anybody can send an envelope, so it must cost little to refuse one. All that may be long in it is the Body: that is
# cut out and decoded by itself, and only a short frame is parsed and validated.
_LONGEST_DOMAIN = 253
_LONGEST_FRAME = 4_096
_STAND_IN = "c3RhbmQtaW4="
_BODY = re.compile(rb"""\sBody\s{0,9}=\s{0,9}(["'])""")
_BLANK_REFERENCE = re.compile(rb"&#(?:x0{0,4}(?:9|[aA]|[dD]|20)|0{0,4}(?:9|10|13|32));")


def _cut_body(xml: bytes) -> tuple[bytes, bytes]:
    """Return an envelope with a stand-in for its Body, and the Body.

    Raises:
        SchemaException: What is left is too long for an envelope.
    """
    start = _BODY.search(xml, 0, _LONGEST_FRAME)
    end = xml.find(start[1], start.end()) if start else -1
    frame, body = xml, b""
    if start and end > 0:
        frame, body = xml[: start.end()] + _STAND_IN.encode() + xml[end:], xml[start.end() : end]
    if len(frame) > _LONGEST_FRAME:
        raise SchemaException(
            f"Beside its Body an envelope may have {_LONGEST_FRAME} bytes: three attributes and no content"
        )
    # Line breaks in base64 come as references from some writers of XML.
    return frame, _BLANK_REFERENCE.sub(b" ", body) if b"&" in body else body
