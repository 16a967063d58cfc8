"""Lanes: what waits for one partner costs the others nothing."""

import pytest

from shapeshifter_uftp.lanes import Lanes
from shapeshifter_uftp.store import Direction, Entry, Journal, open_database
from shapeshifter_uftp.uftp import UsefRole

AWAY, HERE = ("away.example.com", UsefRole.AGR), ("here.example.com", UsefRole.AGR)


@pytest.fixture
def journal():
    """Give a journal in memory."""
    kept = Journal(open_database("memory"), "dso.example.com DSO")
    yield kept
    kept.close()


def entry(number, partner, next_at=0.0):
    """Give a message that waits to be sent."""
    return Entry(
        owner="dso.example.com DSO", direction=Direction.OUT, partner_domain=partner[0], partner_role=partner[1],
        message_type="TestMessage", message_id=str(number), conversation_id="c", envelope=b"x", at=0.0,
        next_at=next_at,
    )  # fmt: skip


def test_more_for_a_partner_that_is_away_needs_no_look(journal):
    """Behind a message that is postponed all others wait: the database is asked again only when that one is due."""
    handled = []
    lanes = Lanes("test", journal, Direction.OUT, lambda e: bool(handled.append(e)), lambda: 100.0)
    journal.add_outgoing([entry(1, AWAY, next_at=100.5), *(entry(n, AWAY) for n in range(2, 50))])
    assert lanes._start_lanes() == pytest.approx(0.5)
    assert lanes._needs_no_look({AWAY})
    assert not lanes._needs_no_look({AWAY, HERE})
    assert not lanes._needs_no_look({None})
    assert handled == []


def test_the_first_messages_of_a_partner_are_found_by_an_index(journal):
    """What waits for one partner is not searched among what waits for another."""
    plan = journal._database.read(
        "EXPLAIN QUERY PLAN SELECT * FROM uftp_message WHERE owner = :owner AND state = 'new' AND direction = 'out'"
        " AND partner_domain = :domain AND partner_role = 'AGR' ORDER BY seq",
        owner=journal.owner, domain=HERE[0],
    )  # fmt: skip
    details = [row["detail"] for row in plan]
    assert len(details) == 1  # no sorting after it
    assert "uftp_message_waiting" in details[0]
    assert "partner_domain=? AND partner_role=?" in details[0]
