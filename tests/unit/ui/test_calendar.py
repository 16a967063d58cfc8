"""Calendars after RFC 5545: lines, folding, escapes and times in UTC."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from flexmeasures.ui.calendar import Entry, write_calendar

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


def properties(text):
    """Read a calendar as section 3.1 says: unfold, then cut at the first colon."""
    assert text.endswith("\r\n")
    lines = text.replace("\r\n ", "").removesuffix("\r\n").split("\r\n")
    return [tuple(line.split(":", 1)) for line in lines]


def unescape(value):
    """Read a text value as section 3.3.11 says."""
    found, rest = "", iter(value)
    for character in rest:
        found += (
            {"n": "\n", "N": "\n"}.get(following := next(rest), following) if character == "\\" else character
        )
    return found


def entry(summary, **more):
    """Make an entry from two to half past three in Amsterdam's winter."""
    zone = timezone(timedelta(hours=1))
    start = datetime(2024, 3, 2, 2, tzinfo=zone)
    return Entry("a@b", start, start + timedelta(minutes=90), summary, **more)


def test_an_entry_has_what_calendars_need():
    """UID, stamp, start and end in UTC and a summary stand between BEGIN and END of the event."""
    found = properties(write_calendar("Plan of a battery", [entry("charges with 5 kW")], NOW))
    assert found[:2] == [("BEGIN", "VCALENDAR"), ("VERSION", "2.0")]
    assert found[-1] == ("END", "VCALENDAR")
    event = found[found.index(("BEGIN", "VEVENT")) : found.index(("END", "VEVENT"))]
    assert dict(event) | {} == {
        "BEGIN": "VEVENT",
        "UID": "a@b",
        "DTSTAMP": "20240301T120000Z",
        "DTSTART": "20240302T010000Z",
        "DTEND": "20240302T023000Z",
        "SUMMARY": "charges with 5 kW",
        "DESCRIPTION": "",
        "TRANSP": "TRANSPARENT",
    }


def test_nothing_planned_is_an_empty_calendar():
    """A calendar without entries is one, too."""
    assert ("BEGIN", "VEVENT") not in properties(write_calendar("x", [], NOW))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=200))
def test_whatever_a_name_is_it_comes_back_and_no_line_is_too_long(text):
    """Lines have at most 75 bytes, characters stay whole, and unescaping gives the text back."""
    written = write_calendar("x", [entry(text)], NOW)
    assert all(len(line.encode()) <= 75 for line in written.split("\r\n"))
    (summary,) = [value for name, value in properties(written) if name == "SUMMARY"]
    assert unescape(summary) == text


def test_a_name_cannot_add_a_property():
    """A line break in a name is written as one, not as the beginning of another line."""
    written = write_calendar("x", [entry("a\r\nATTACH:https://example.com")], NOW)
    assert "\r\nATTACH" not in written
