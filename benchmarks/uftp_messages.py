"""UFTP: sending and receiving a FlexOffer, against the floor of PyNaCl and lxml on the same bytes, and the peer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

from lxml import etree
from nacl import bindings

from benchmarks import benchmark, median
from shapeshifter_uftp import uftp
from shapeshifter_uftp.exceptions import SchemaException
from shapeshifter_uftp.sealing import (
    envelope_from_xml,
    envelope_to_xml,
    generate_key_pair,
    open_sealed,
    read_public_keys,
    seal_message,
    unseal_message,
)

KEYS = generate_key_pair(b"\x01" * 32)
PEER_ENV = "SHAPESHIFTER_PEER_PYTHON"
"""Names the Python of an environment in which the package shapeshifter-uftp is installed."""

# Runs in the peer's environment: the same message and the same steps, with the peer's public functions.
PEER = """
import json, statistics, sys, time
from shapeshifter_uftp.transport import from_xml, seal_message, to_xml, unseal_message
from shapeshifter_uftp.uftp import FlexOffer, FlexOfferOption, FlexOfferOptionISP, SignedMessage, UsefRole
private, public = sys.argv[1:]
isps = [FlexOfferOptionISP(power=-1000 - n, start=n + 1) for n in range(96)]
ids = {f"{name}_id": "00000000-0000-4000-8000-000000000001" for name in ("message", "conversation")}
offer = FlexOffer(
    sender_domain="agr.example.com", recipient_domain="dso.example.com", time_stamp="2030-06-11T10:00:00+00:00",
    isp_duration="PT15M", period="2030-06-12", congestion_point="ean.871685900012636543", currency="EUR",
    expiration_date_time="2030-06-12T08:00:00+02:00", unsolicited=True, **ids,
    offer_options=[FlexOfferOption(option_reference="a", price="12.50", isps=isps)],
)
def send():
    body = seal_message(offer, private)
    return to_xml(SignedMessage(sender_domain="agr.example.com", sender_role=UsefRole.AGR, body=body))
wire = send()
def receive():
    envelope = from_xml(wire)
    return unseal_message(envelope.body, public)
def median(call):
    times = []
    for _ in range(60):
        start = time.perf_counter(); call(); times.append(time.perf_counter() - start)
    return statistics.median(times)
print(json.dumps({"send": median(send), "receive": median(receive)}))
"""


def make_offer(options: int = 1) -> uftp.FlexOffer:
    """Make an offer of a day of quarter-hours."""
    isps = [uftp.FlexOfferOptionISP(power=-1000 - n, start=n + 1) for n in range(96)]
    return uftp.FlexOffer(
        sender_domain="agr.example.com", recipient_domain="dso.example.com", time_stamp="2030-06-11T10:00:00+00:00",
        message_id="00000000-0000-4000-8000-000000000001", conversation_id="00000000-0000-4000-8000-000000000002",
        isp_duration="PT15M", period="2030-06-12", congestion_point="ean.871685900012636543", unsolicited=True,
        expiration_date_time="2030-06-12T08:00:00+02:00",
        offer_options=[
            uftp.FlexOfferOption(option_reference=str(n), price="12.50", isps=isps) for n in range(options)
        ],
    )  # fmt: skip


@benchmark("uftp: FlexOffer with 96 ISPs")
def messages(report):
    """Measure both directions beside their floor; a third of the calls of each kind is enough for the median."""
    offer = make_offer()
    private, public = b64decode(KEYS.private_key), read_public_keys(KEYS.public_key)

    def send():
        body = seal_message(offer, KEYS.private_key)
        return envelope_to_xml(
            uftp.SignedMessage(sender_domain="agr.example.com", sender_role=uftp.UsefRole.AGR, body=body)
        )

    def receive():
        return unseal_message(envelope_from_xml(wire).body, KEYS.public_key)

    wire = send()
    sealed = envelope_from_xml(wire).body
    inner = open_sealed(sealed, public)
    ours = {"send": median(send, 400), "receive": median(receive, 400)}
    sign = median(lambda: bindings.crypto_sign(inner, private), 400)
    verify = median(lambda: bindings.crypto_sign_open(sealed, public[0]), 400)
    parse = median(lambda: etree.fromstring(inner), 400)
    parse_outer = median(lambda: etree.fromstring(wire), 400)
    report("send: write, sign, envelope", ours["send"], target=250e-6)
    report.ratio("send / (sign + parse of the same bytes)", ours["send"], sign + parse, target=2.5)
    report.ratio("send / sign alone", ours["send"], sign)
    report("receive: envelope, verify, XSD, typed values", ours["receive"], target=800e-6)
    report.ratio(
        "receive / (verify + parse of both layers)", ours["receive"], verify + parse + parse_outer, target=2.0
    )
    report.ratio("receive / (verify + parse of the inner layer)", ours["receive"], verify + parse)
    compare_with_peer(report, ours)


def compare_with_peer(report, ours):
    """Print the ratio to the package shapeshifter-uftp, where it is installed in another environment."""
    python = os.environ.get(PEER_ENV)
    if not python or not Path(python).exists():
        print(f"  (no peer: set {PEER_ENV} to the Python of an environment with shapeshifter-uftp)")
        return
    command = [python, "-c", PEER, KEYS.private_key, KEYS.public_key]
    peer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout)
    for name, seconds in ours.items():
        report.ratio(f"{name}: ours / peer ({peer[name] * 1e3:.1f} ms)", seconds, peer[name])


@benchmark("uftp: refusing what strangers send")
def strangers(report):
    """Measure what an envelope of four megabytes costs whose sender has signed nothing."""
    filled = 3_850_000
    attributes = b"<SignedMessage " + b" ".join(b'a%d=""' % n for n in range(filled // 11)) + b"/>"
    domain = (
        b'<SignedMessage SenderDomain="'
        + b"a-" * (filled // 2)
        + b'a.example.com" SenderRole="AGR" Body="eA=="/>'
    )

    def refuse(xml):
        try:
            envelope_from_xml(xml)
        except SchemaException:
            return
        raise AssertionError("A bomb was read")

    report("refuse 3.85 MB of attributes", median(lambda: refuse(attributes), 20), target=0.05)
    report("refuse a domain of 3.85 MB", median(lambda: refuse(domain), 20), target=0.05)


@benchmark("uftp: import and memory")
def start(report):
    """Measure a fresh interpreter: what importing costs, and what a process with client and service holds."""
    code = (
        "import time; t = time.perf_counter(); import shapeshifter_uftp; s = time.perf_counter() - t\n"
        "import {more}\n"
        "print(s, int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20)"
    )
    for what, more in (
        ("package", "shapeshifter_uftp"),
        ("package, client and service", "shapeshifter_uftp.service"),
    ):
        runs = []
        for _ in range(5):
            command = [sys.executable, "-c", code.format(more=more)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            runs.append([float(word) for word in out.split()])
        if more == "shapeshifter_uftp":
            report("import shapeshifter_uftp", sorted(run[0] for run in runs)[2], target=0.25)
        report.figure(f"resident memory: {what}", max(run[1] for run in runs), "MiB", "target 40")
