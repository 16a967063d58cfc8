"""Builders for the tests of the UFTP library: complete messages of every type, and fixed keys."""

import dataclasses
import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.sealing import generate_key_pair
from shapeshifter_uftp.uftp import lexical
from shapeshifter_uftp.uftp.structure import plan_of

NOW = dt.datetime(2030, 6, 11, 10, 0, tzinfo=dt.UTC)
A_UUID = "00000000-0000-4000-8000-0000000000{:02d}"
VALUES = {
    lexical.STRING: "a & b <c> \"d\" 'é'",
    lexical.VERSION: "3.1.0",
    lexical.UUID: A_UUID.format(7),
    lexical.DOMAIN: "agr.example.com",
    lexical.ENTITY_ADDRESS: "ea1.2013-11.info.usef.test:001:002.090807002a&b#",
    lexical.EAN: "E8716859000126365",
    lexical.TIME_ZONE: "Europe/Amsterdam",
    lexical.CURRENCY: "EUR",
    lexical.POWER: -3000,
    lexical.ISP_START: 33,
    lexical.ISP_COUNT: 4,
    lexical.REVISION: 20300611,
    lexical.DECIMAL: Decimal("0.125"),
    lexical.AMOUNT: Decimal("12.50"),
    lexical.FACTOR: Decimal("0.80"),
    lexical.BOOLEAN: True,
    lexical.PERIOD: dt.date(2030, 6, 12),
    lexical.DURATION: dt.timedelta(minutes=15),
    lexical.DATE_TIME: "2030-06-11T20:00:00+02:00",
    lexical.RESULT: uftp.AcceptedRejected.ACCEPTED,
    lexical.DISPUTE: uftp.AcceptedDisputed.DISPUTED,
    lexical.DISPOSITION: uftp.AvailableRequested.REQUESTED,
    lexical.REDISPATCH_BY: uftp.RedispatchBy.DSO,
    lexical.PROFILE_TYPE: uftp.MeteringProfileEnum.POWER,
    lexical.UNIT: uftp.MeteringUnit.K_W,
}


def _fill(cls, everything):
    plan = plan_of(cls)
    values = {}
    for attribute in plan.attributes:
        if everything or attribute.required or attribute.required_before:
            values[attribute.name] = VALUES[attribute.kind]
    for child in plan.children:
        if not child.many:
            values[child.name] = _fill(child.type, everything) if everything else None
        elif everything or child.at_least:
            values[child.name] = [_fill(child.type, everything) for _ in range(2)]
    return cls(**values)


@pytest.fixture(scope="session")
def make_message():
    """Give a builder of messages: all attributes or only the required ones, any of them replaced."""

    def make(cls, *, everything=True, **replaced):
        ids = {"message_id": A_UUID.format(1), "conversation_id": A_UUID.format(50)}
        return dataclasses.replace(_fill(cls, everything), **{**ids, **replaced})

    return make


@pytest.fixture(scope="session")
def agr_keys():
    """Give the aggregator's key pair, from a fixed seed."""
    return generate_key_pair(b"\x01" * 32)


@pytest.fixture(scope="session")
def dso_keys():
    """Give the grid operator's key pair, from a fixed seed."""
    return generate_key_pair(b"\x02" * 32)


@pytest.fixture(scope="session")
def samples():
    """Give the folder of sample messages."""
    return Path(__file__).parent / "samples"
