"""Lanes: what waits for one partner costs the others nothing."""

import pytest

from shapeshifter_uftp.backoff import Pause
from shapeshifter_uftp.lanes import Lanes
from shapeshifter_uftp.store import Direction, Entry, Journal, State, open_database
from shapeshifter_uftp.uftp import UsefRole

AWAY, HERE = ("away.example.com", UsefRole.AGR), ("here.example.com", UsefRole.AGR)


@pytest.fixture
def journal():
    """Give a journal in memory."""
    kept = Journal(open_database("memory"), "dso.example.com DSO")
    yield kept
    kept.close()


def entry(number, partner, next_at=0.0, talk=None, kind="TestMessage", topic=None):
    """Give a message that waits to be sent."""
    return Entry(
        owner="dso.example.com DSO", direction=Direction.OUT, partner_domain=partner[0], partner_role=partner[1],
        message_type=kind, message_id=str(number), conversation_id=talk or str(number), envelope=b"x", at=0.0,
        next_at=next_at, topic=topic,
    )  # fmt: skip


def test_more_for_a_partner_that_is_away_needs_no_look(journal):
    """What comes for a partner that is away waits: the database is asked again only when its pause is over."""
    handled = []

    def away(message):
        handled.append(message.message_id)
        journal.postpone(message, 100.5)
        return Pause(100.5, whole_lane=True)

    lanes = Lanes("test", journal, Direction.OUT, away, lambda: 100.0)
    journal.add_outgoing([entry(n, AWAY) for n in range(1, 50)])
    assert lanes._handle_waiting(AWAY) is False
    assert handled == ["1"]
    assert lanes._start_lanes() == pytest.approx(0.5)
    assert lanes._needs_no_look({AWAY})
    assert not lanes._needs_no_look({AWAY, HERE})
    assert not lanes._needs_no_look({None})


def run(journal, failing, now=100.0):
    """Handle all that is due for one partner, some of it in vain; give the ids in the order in which they came."""
    handled = []

    def handle(message):
        handled.append(message.message_id)
        if message.message_id in failing:
            journal.postpone(message, now + 60)
            return Pause(now + 60)
        journal.mark(message, State.DONE)
        return None

    lanes = Lanes("test", journal, Direction.OUT, handle, lambda: now)
    while lanes._handle_waiting(HERE):
        pass
    return handled


def test_a_message_that_fails_holds_back_its_conversation_only(journal):
    """What follows in the conversation of a failing message waits and comes after it; everything else goes on."""
    talks = {1: "a", 2: "b", 3: "a", 4: "c", 5: "a"}
    journal.add_outgoing([entry(n, HERE, talk=talk) for n, talk in talks.items()])
    assert run(journal, {"1"}) == ["1", "2", "4"]
    journal.add_outgoing([entry(6, HERE, talk="a"), entry(7, HERE, talk="b")])
    assert run(journal, set(), now=130.0) == ["7"]  # 6 is of the conversation that still waits
    assert run(journal, set(), now=161.0) == ["1", "3", "5", "6"]


@pytest.mark.parametrize(
    ("message_type", "topics", "first"),
    [
        ("D-Prognosis", ("p|1", "p|1", "p|2"), ["1", "3"]),
        ("Metering", ("E1|1", "E1|1", "E2|1"), ["1", "3"]),
        ("FlexReservationUpdate", ("p|1", "p|1", "p|2"), ["1", "3"]),
        ("AGRPortfolioUpdate", (None, None, None), ["1"]),
        ("DSOPortfolioUpdate", (None, None, None), ["1"]),
        ("FlexRequest", ("p|1", "p|1", "p|1"), ["1", "2", "3"]),
    ],
)
def test_what_replaces_an_earlier_message_waits_for_it(journal, message_type, topics, first):
    """A later revision must not be handled before an earlier one, which would then be refused as outdated."""
    journal.add_outgoing(
        [entry(n, HERE, talk=str(n), kind=message_type, topic=t) for n, t in enumerate(topics, 1)]
    )
    assert run(journal, {"1"}) == first


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
