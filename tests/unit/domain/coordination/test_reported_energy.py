"""Energy in reports of OpenADR: which slot of the event each interval is about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from flexmeasures.domain.coordination import Span
from flexmeasures.domain.coordination.reports import read_acknowledgements, read_energy

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPANS = tuple(Span(NOON + n * HOUR, NOON + (n + 1) * HOUR, -0.4, n) for n in range(3))


def interval(number, value, **more):
    """One interval of a report."""
    return {"id": number, "payloads": [{"type": "USAGE", "values": [value]}], **more}


def read(*intervals, **more):
    """Hours after noon and energies that a report gives."""
    report = {"resources": [{"resourceName": "car", "intervals": intervals, **more}]}
    return {(one.slot_start - NOON) // HOUR: one.kilowatt_hours for one in read_energy(report, SPANS)}


def test_ids_are_those_of_the_event():
    """An interval without a time is about the event's interval with its id; unknown ids are left out."""
    assert read(interval(2, 1.5), interval(7, 9)) == {2: Decimal("1.5")}


def test_times_go_before_ids():
    """A start of its own, with whatever offset, decides; the length has to be that of the slot."""
    own = {"start": "2026-03-01T14:00:00+01:00", "duration": "PT1H"}
    assert read(interval(0, 1.5, intervalPeriod=own)) == {1: Decimal("1.5")}
    assert read(interval(0, 1.5, intervalPeriod=own | {"duration": "PT15M"})) == {}
    assert read(interval(0, 1.5, intervalPeriod=own | {"start": "2026-03-01T13:30:00Z"})) == {}


def test_a_period_of_the_resource_counts_on():
    """Intervals follow each other from the start of the resource's period."""
    period = {"start": "2026-03-01T13:00:00Z", "duration": "PT1H"}
    assert read(interval(0, 1), interval(1, 2), intervalPeriod=period) == {1: 1, 2: 2}


@pytest.mark.parametrize(("units", "expected"), [("WH", "0.0015"), ("MWH", "1500"), (None, "1.5")])
def test_units_are_those_of_the_descriptor(units, expected):
    """Wh and MWh are converted, nothing said is kWh; other units are left out."""
    descriptor = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "USAGE", "units": units}
    report = {
        "payloadDescriptors": [descriptor],
        "resources": [{"resourceName": "car", "intervals": [interval(0, 1.5)]}],
    }
    assert [one.kilowatt_hours for one in read_energy(report, SPANS)] == [Decimal(expected)]
    assert list(read_energy(report | {"payloadDescriptors": [descriptor | {"units": "THERMS"}]}, SPANS)) == []


def test_an_id_that_is_repeated_means_no_one_slot():
    """Where an event repeats its intervals, an id alone does not say which hour is meant."""
    spans = (*SPANS, Span(NOON + 3 * HOUR, NOON + 4 * HOUR, -0.4, 0))
    report = {"resources": [{"resourceName": "car", "intervals": [interval(0, 1), interval(1, 2)]}]}
    assert [one.slot_start for one in read_energy(report, spans)] == [NOON + HOUR]


def test_other_values_are_no_energy():
    """Texts, truths and what nothing can use are left out, and times beyond the calendar are of no slot."""
    assert read(interval(0, "much"), interval(1, True), interval(2, 1e200)) == {}
    beyond = {"start": "9999-12-31T00:00:00Z", "duration": "P900000D"}
    assert read(interval(0, 1), interval(1, 2), intervalPeriod=beyond) == {}


def test_acknowledgements_in_words_or_truths():
    """ACKNOWLEDGED and DECLINED, true and false; anything else says nothing."""
    resources = [
        {
            "resourceName": name,
            "intervals": [{"id": 0, "payloads": [{"type": "ACK", "values": [value]}]}],
        }
        for name, value in (("a", True), ("b", "DECLINED"), ("c", "perhaps"))
    ]
    assert read_acknowledgements({"resources": resources}) == {"a": True, "b": False}
