"""Which belief counts: the latest one, and the latest one as of an instant."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flexmeasures.domain.beliefs import Beliefs, DaysAgo, ExAnte, ExPost, latest_per_event, select_as_of
from flexmeasures.domain.time import to_datetime64

START = datetime(2021, 3, 27, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
RULES = (ExPost(), ExPost(timedelta(minutes=5)), ExAnte(timedelta(hours=1)), DaysAgo(1, 12, "Europe/Paris"))

rows = st.tuples(
    st.integers(0, 12),  # event
    st.integers(-40, 40),  # horizon, in quarters
    st.integers(1, 4),  # source
)
# No two beliefs of one source about one event have the same horizon: the store sees to that.
tables = st.lists(rows, unique=True, max_size=60)


def as_beliefs(table):
    """Make columns of rows; the value of a belief is its row's number."""
    events = [to_datetime64(START + 20 * event * QUARTER) for event, _, _ in table]
    return Beliefs(
        np.array(events, dtype="datetime64[us]"),
        np.arange(len(table), dtype=float),
        np.array([horizon * QUARTER for _, horizon, _ in table], dtype="timedelta64[us]"),
        np.array([source for _, _, source in table], dtype=np.int32),
    )


def latest_by_loop(table, numbers):
    """The row of each event that was believed last, one row at a time."""
    best = {}
    for number in numbers:
        event, horizon, source = table[number]
        if event not in best or (horizon, source) < table[best[event]][1:]:
            best[event] = number
    return [float(best[event]) for event in sorted(best)]


@given(tables)
def test_the_latest_belief_counts(table):
    """Of each event the belief with the smallest horizon is kept, of equals that of the lowest source, in order."""
    latest = latest_per_event(as_beliefs(table))
    assert latest.values.tolist() == latest_by_loop(table, range(len(table)))
    assert (np.diff(latest.event_starts) > np.timedelta64(0)).all()


@settings(max_examples=30)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(table, random):
    """Shuffled beliefs give the same latest beliefs."""
    order = list(range(len(table)))
    random.shuffle(order)
    beliefs = as_beliefs(table)
    one, other = latest_per_event(beliefs), latest_per_event(beliefs.take(np.array(order, dtype=int)))
    assert one.values.tolist() == other.values.tolist()


@given(tables, st.sampled_from(RULES), st.integers(-200, 500))
def test_nobody_looks_ahead(table, rule, quarters):
    """As of an instant no later belief is seen, and the latest of the others is, as a loop finds it."""
    at = START + quarters * QUARTER
    beliefs = as_beliefs(table)
    known = rule.knowledge_times(beliefs.event_starts, QUARTER)
    seen = [n for n in range(len(table)) if known[n] - beliefs.horizons[n] <= to_datetime64(at)]
    chosen = select_as_of(beliefs, rule, QUARTER, at)
    assert chosen.values.tolist() == latest_by_loop(table, seen)
    held = rule.knowledge_times(chosen.event_starts, QUARTER) - chosen.horizons
    assert (held <= to_datetime64(at)).all()


@settings(max_examples=30)
@given(tables, st.sampled_from(RULES))
def test_in_the_end_all_is_seen(table, rule):
    """As of a time after all beliefs, the latest beliefs are those of all times."""
    beliefs = as_beliefs(table)
    late = select_as_of(beliefs, rule, QUARTER, START + timedelta(days=400))
    assert late.values.tolist() == latest_per_event(beliefs).values.tolist()


def test_a_forecast_gives_way_to_the_measurement():
    """A forecast counts until the measurement is there, and a correction counts from then on."""
    event = to_datetime64(START)  # known at 00:15
    beliefs = Beliefs(
        np.full(3, event),
        np.array([1.0, 2.0, 3.0]),
        np.array([timedelta(hours=6), timedelta(0), timedelta(hours=-1)], dtype="timedelta64[us]"),
        np.array([1, 2, 2], dtype=np.int32),
    )
    # In minutes after the start; the forecast was held six hours before 00:15.
    expected = {-346: [], -345: [1.0], 14: [1.0], 15: [2.0], 74: [2.0], 75: [3.0]}
    for minutes, values in expected.items():
        at = START + timedelta(minutes=minutes)
        assert select_as_of(beliefs, ExPost(), QUARTER, at).values.tolist() == values


def test_no_beliefs_are_selected_from_none():
    """Nothing is selected from nothing."""
    none = as_beliefs([])
    assert len(latest_per_event(none)) == len(select_as_of(none, ExPost(), QUARTER, START)) == 0
