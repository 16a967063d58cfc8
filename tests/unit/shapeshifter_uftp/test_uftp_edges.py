"""Values at the edge of what the standard allows, and things that are not messages at all."""

import datetime as dt
from decimal import Decimal

import pytest

from shapeshifter_uftp import ShapeshifterAgrDsoClient, uftp
from shapeshifter_uftp.cro import Registry
from shapeshifter_uftp.exceptions import InvalidMessageException, InvalidValue, NotAMessage, SchemaException
from shapeshifter_uftp.isp_calendar import instant_of
from shapeshifter_uftp.reading import message_from_xml
from shapeshifter_uftp.references import make_response
from shapeshifter_uftp.sealing import generate_key_pair, seal_message
from shapeshifter_uftp.transport import to_xml
from shapeshifter_uftp.writing import message_to_xml


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2030-06-11T24:00:00Z", None, "2030-06-12T00:00:00+00:00"),
        ("2030-06-11T24:00:00.000+02:00", None, "2030-06-11T22:00:00+00:00"),
        ("2030-12-31T24:00:00", "Europe/Amsterdam", "2030-12-31T23:00:00+00:00"),
        ("2030-03-30T24:00:00", "Europe/Amsterdam", "2030-03-30T23:00:00+00:00"),
        ("2030-02-28T24:00:00-00:30", None, "2030-03-01T00:30:00+00:00"),
    ],
)
def test_midnight_may_end_a_day(text, zone, instant):
    """24:00:00 is the midnight at the end of a day: XML Schema part 2, section 3.2.7."""
    assert instant_of(text, zone).isoformat() == instant


@pytest.mark.parametrize(
    "text", ["2030-06-11T24:00:01Z", "2030-06-11T24:01:00Z", "9999-12-31T24:00:00Z", "99999-01-01T00:00:00Z",
     "T24:00:00"]
)  # fmt: skip
def test_an_instant_that_is_none_says_so(text):
    """What no calendar has is an InvalidValue, nothing else."""
    with pytest.raises(InvalidValue, match="is not an instant"):
        instant_of(text)


def test_an_offer_may_expire_at_the_end_of_the_day(make_message):
    """Midnight of the day's end travels as it was written."""
    offer = make_message(uftp.FlexOffer, expiration_date_time="2030-06-11T24:00:00+02:00")
    assert message_from_xml(message_to_xml(offer)) == offer


def test_a_time_stamp_beyond_the_calendar_is_refused_by_the_registry(make_message):
    """An update made in the year 99999 is rejected in words, instead of making the registry stumble."""
    update = make_message(uftp.AgrPortfolioUpdate, time_stamp="99999-01-01T00:00:00Z")
    with pytest.raises(InvalidMessageException, match="TimeStamp"):
        Registry().update_connections(update)


@pytest.mark.parametrize("cls", [uftp.AgrPortfolioQuery, uftp.DsoPortfolioQuery])
def test_a_query_for_a_day_beyond_the_calendar_can_be_answered(cls, make_message):
    """The answer gives the day back as it was asked for, as the schema demands."""
    query = make_message(cls, period="99999-01-01")
    response = make_response(
        query, "Period out of bounds", message_id=query.message_id, time_stamp=query.time_stamp
    )
    assert b'Period="99999-01-01"' in message_to_xml(response)


@pytest.mark.parametrize(
    "period", ["2030-13-01", "2030-06-12T00:00", "2030-06-12 and more", "99999-1-1", "", "12.06.2030"]
)
def test_a_period_that_is_no_day_is_refused(period, make_message):
    """Text after a date is not a part of it."""
    with pytest.raises(InvalidValue, match="is not a period"):
        make_message(uftp.FlexRequest, period=period)


@pytest.mark.parametrize(
    "power", [10**4000, -(10**4000), 10**5000, 10**15 + 1], ids=["+4000", "-4000", "+5000", "+15"]
)
@pytest.mark.parametrize("count", [1, 96])
def test_a_power_beyond_everything_is_not_sent(power, count, make_message):
    """A power that no grid has is refused when it is written, in short lists as in long ones."""
    isps = [uftp.DPrognosisISP(power=1, start=n + 1) for n in range(count)]
    isps[-1].power = power
    with pytest.raises(InvalidValue):
        message_to_xml(make_message(uftp.DPrognosis, isps=isps))


def test_the_largest_power_is_sent(make_message):
    """10^15 W and its negative are still written."""
    isps = [uftp.DPrognosisISP(power=(-1) ** n * 10**15, start=n + 1) for n in range(96)]
    prognosis = make_message(uftp.DPrognosis, isps=isps)
    assert message_from_xml(message_to_xml(prognosis)) == prognosis


def test_a_number_that_python_does_not_read_is_no_message(make_message):
    """A power of five thousand digits is refused like other XML that cannot be read."""
    xml = message_to_xml(make_message(uftp.DPrognosis)).replace(
        b'Power="-3000"', b'Power="' + b"9" * 5000 + b'"'
    )
    with pytest.raises(SchemaException, match="cannot be read"):
        message_from_xml(xml)


@pytest.mark.parametrize(
    "thing", ["Hello", b"<x/>", None, 5, {"isps": []}, uftp.FlexOffer, uftp.PayloadMessage()]
)
def test_what_is_no_message_is_not_sent(thing):
    """Clients, writers and signers name what they were given, and what to give; it is a TypeError and a ValueError."""
    key = generate_key_pair().private_key
    client = ShapeshifterAgrDsoClient("agr.example.com", key, "dso.example.com", "http://127.0.0.1:9/")
    for call in (
        client.send_flex_offer,
        client.send_test_message,
        to_xml,
        lambda each: seal_message(each, key),
    ):
        with pytest.raises(NotAMessage, match="is not a message of UFTP: give a FlexOffer") as raised:
            call(thing)
        assert isinstance(raised.value, TypeError)
        assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("isps", ["Hello", None, 5, [5], ["a"] * 10, [uftp.FlexOffer], {"power": 1}])
def test_what_is_no_list_of_isps_is_not_sent(isps, make_message):
    """A list of something else, or no list at all, is named with the attribute that it stands in."""
    prognosis = make_message(uftp.DPrognosis)
    prognosis.isps = isps
    with pytest.raises(InvalidValue, match=r"ISP|isps"):
        message_to_xml(prognosis)


def test_amounts_keep_their_digits(make_message):
    """An amount up to the bound is read as it was written."""
    order = make_message(uftp.FlexOrder, price=Decimal("999999999999999.9999"))
    assert message_from_xml(message_to_xml(order)).price == Decimal("999999999999999.9999")
    assert order.period == dt.date(2030, 6, 12)
