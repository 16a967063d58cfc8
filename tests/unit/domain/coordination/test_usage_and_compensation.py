"""Reported energy: what is taken, what is refused, and what it pays."""

import base64
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from flexmeasures.domain.coordination import (
    CompensatedSlot,
    EventSlots,
    InvalidReport,
    UsagePoint,
    compensate,
    is_in_time,
    is_signed_by,
    place_usage,
    sign,
)
from flexmeasures.domain.time import to_datetime64

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Wanted are the hours from 12, 13 and 15 o'clock.
SLOTS = EventSlots(np.array([to_datetime64(NOON + n * HOUR) for n in (0, 1, 3)]), HOUR)


def points(**energy: str) -> list[UsagePoint]:
    """Make points, by hours after noon."""
    return [
        UsagePoint(NOON + float(h[1:].replace("_", ".")) * HOUR, Decimal(kwh)) for h, kwh in energy.items()
    ]


def test_energy_is_placed_in_its_slot_and_the_rest_is_ignored():
    """12 and 15 o'clock are slots 0 and 2; 14 o'clock and the next day are outside the event."""
    placed = place_usage(points(h0="1.25", h2="9", h3="0", h24="7"), HOUR, SLOTS, path="p")
    assert placed == {0: Decimal("1.25"), 2: Decimal(0)}


def test_time_zones_are_understood():
    """13:00+01:00 is noon in UTC."""
    point = UsagePoint(datetime.fromisoformat("2026-03-01T13:00:00+01:00"), Decimal(1))
    assert place_usage([point], HOUR, SLOTS, path="p") == {0: Decimal(1)}


@pytest.mark.parametrize("energy", ["-0.1", "NaN", "Infinity"])
def test_energy_that_cannot_be_is_refused(energy):
    """Negative or non-finite energy of a resource that only consumes is refused, with the path of the point."""
    with pytest.raises(InvalidReport) as refusal:
        place_usage(points(h0="1", h1=energy), HOUR, SLOTS, path="payloads[0].curvePoints")
    assert list(refusal.value.details["errors"]) == ["payloads[0].curvePoints[1]"]


def test_a_bidirectional_resource_may_feed_in():
    """−1 kWh is fine for a resource that can feed in."""
    assert place_usage(points(h0="-1"), HOUR, SLOTS, path="p", bidirectional=True) == {0: Decimal(-1)}


def test_points_within_a_slot_and_contradictions_are_refused():
    """12:30 is not the start of a slot; 12:00 twice with different values is a contradiction, equal ones are not."""
    with pytest.raises(InvalidReport, match="not the start"):
        place_usage(points(h0_5="1"), HOUR, SLOTS, path="p")
    with pytest.raises(InvalidReport, match="twice"):
        place_usage(points(h0="1") + points(h0="2"), HOUR, SLOTS, path="p")
    assert place_usage(points(h0="1") + points(h0="1"), HOUR, SLOTS, path="p") == {0: Decimal(1)}


def test_another_resolution_is_refused():
    """Quarter-hours do not fit an event of hours."""
    with pytest.raises(InvalidReport) as refusal:
        place_usage(points(h0="1"), HOUR / 4, SLOTS, path="payloads[0]")
    assert list(refusal.value.details["errors"]) == ["payloads[0].resolution"]


def test_compensation_is_paid_for_consumption_in_rewarded_hours():
    """−(−0.40) · 1.25 + −(−0.15) · 2 = 0.80; a positive difference pays nothing by itself."""
    slots = [
        CompensatedSlot(Decimal("-0.40"), Decimal("1.25")),
        CompensatedSlot(Decimal("-0.15"), Decimal(2)),
        CompensatedSlot(Decimal("0.50"), Decimal(3), Decimal(5)),
    ]
    assert compensate(slots).active == Decimal("0.80")


def test_savings_are_paid_against_the_baseline_where_the_programme_says_so():
    """(5 − 3) · 0.50 = 1.00 for a saving; using more than the baseline costs nothing."""
    slots = [
        CompensatedSlot(Decimal("0.50"), Decimal(3), Decimal(5)),
        CompensatedSlot(Decimal("0.50"), Decimal(6), Decimal(5)),
    ]
    assert compensate(slots, reward_savings=True).active == Decimal("1.00")


def test_amounts_are_rounded_once_at_the_end_half_to_even():
    """Three times 0.0417 is 0.1251, that is 0.13; rounding each would give 0.12. 0.125 alone is 0.12."""
    third = CompensatedSlot(Decimal("-0.0417"), Decimal(1))
    assert compensate([third] * 3).active == Decimal("0.13")
    assert compensate([CompensatedSlot(Decimal("-0.125"), Decimal(1))]).active == Decimal("0.12")


def test_without_a_meter_point_the_amount_is_blocked():
    """0.40 waits for the meter point."""
    waits = compensate([CompensatedSlot(Decimal("-0.40"), Decimal(1), has_meter_point=False)])
    assert (waits.active, waits.blocked) == (Decimal("0.00"), Decimal("0.40"))


def test_a_report_counts_until_the_local_month_of_delivery_ends():
    """Delivered on 31 March: 23:59 in Oslo (21:59 UTC) is in time, 00:30 on 1 April (22:30 UTC) is not."""
    delivered = datetime(2026, 3, 31, 10, tzinfo=UTC)
    assert is_in_time(delivered, datetime(2026, 3, 31, 21, 59, tzinfo=UTC), "Europe/Oslo")
    assert not is_in_time(delivered, datetime(2026, 3, 31, 22, 30, tzinfo=UTC), "Europe/Oslo")


def test_a_signature_covers_every_byte():
    """The signature of RFC 4231, test case 2, in Base64; another body or a strange signature does not fit."""
    body = b"what do ya want for nothing?"
    expected = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    assert sign("Jefe", body) == base64.b64encode(expected).decode()
    assert is_signed_by("Jefe", body, sign("Jefe", body))
    assert not is_signed_by("Jefe", body + b" ", sign("Jefe", body))
    assert not is_signed_by("Jefe", body, "å\udcff")
