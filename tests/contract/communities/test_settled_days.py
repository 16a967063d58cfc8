"""Settling days of a service from beliefs: clocks, leap years, changes, gaps, corrections, the operator's values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import (
    CommunityDay,
    CommunityMember,
    CommunityService,
    EmissionFactorRow,
    Generator,
    Inscription,
)
from flexmeasures.domain.communities.coefficients import Coefficients
from flexmeasures.domain.errors import Conflict, ResolutionMismatch
from flexmeasures.services.communities import settle
from flexmeasures.services.communities.differences import list_differences
from flexmeasures.services.communities.metrics import Series, member_series, service_metrics, service_series
from flexmeasures.services.communities.set_up import NewMember, create_member
from flexmeasures.services.communities.tables import create_table, set_table_state
from flexmeasures.services.communities.taking_part import (
    NewSupplyPoint,
    create_supply_point,
    end_inscription,
    settle_anew,
)

from .conftest import (
    CONSUMPTION,
    DAY,
    GENERATION,
    HOUR,
    POINTS,
    add_sensor,
    cups,
    day_of,
    midnight,
    store,
)

NOW = datetime(2024, 12, 1, tzinfo=UTC)
NAN = float("nan")


@pytest.fixture
def session(app, scene):
    """A session within an app context."""
    with app.app_context():
        yield db.session
        db.session.rollback()


def store_day(scene, day, hours=24):
    """Store the worked example on another day, from noon on by the clock."""
    store(scene.plant_sensor, midnight(day), day_of(GENERATION, hours))
    for letter, values in CONSUMPTION.items():
        store(scene.sensors[letter], midnight(day), day_of(values, hours))


def service_of(session, scene):
    """Get the service of the scene."""
    return session.get(CommunityService, scene.service)


def totals(session, scene, first, last=None, now=NOW):
    """Work out metrics."""
    return service_metrics(session, service_of(session, scene), first, last or first, now)


def kwh(metrics):
    """Give produced, consumed and shared energy [kWh]."""
    energies = metrics.totals
    return energies.produced / 1e6, energies.consumed / 1e6, energies.self_consumed / 1e6


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2024, 3, 31), 23), (date(2024, 10, 27), 25), (date(2024, 2, 29), 24)]
)
def test_days_on_which_clocks_change_and_the_leap_day(session, scene, day, hours):
    """A day of 23 or 25 hours has as many intervals, none is lost or counted twice; 29 February is a day."""
    for inscription in session.query(Inscription).filter_by(service_id=scene.service):
        inscription.starts_on = date(2024, 1, 1)
    settle_anew(session, service_of(session, scene))
    table = create_table(
        session,
        service_of(session, scene),
        "winter",
        Coefficients(tuple(POINTS.values()), np.array([500_000, 300_000, 200_000])),
    )
    for state in ("validated", "process", "active"):
        set_table_state(session, table.id, state, date(2023, 1, 1))
    every_hour = [1.0] * hours
    store(scene.plant_sensor, midnight(day), every_hour)
    for letter in "ABC":
        store(scene.sensors[letter], midnight(day), every_hour)
    metrics = totals(session, scene, day)
    # Shares of .5, .3 and .2 kWh are all below the use of 1 kWh.
    assert kwh(metrics) == (hours, 3 * hours, hours)
    assert metrics.coverage == 1.0
    assert session.get(CommunityDay, (scene.service, day)).intervals == hours
    # The neighbours have nothing of it.
    assert kwh(totals(session, scene, day - timedelta(days=1))) == (0, 0, 0)
    assert kwh(totals(session, scene, day + timedelta(days=1))) == (0, 0, 0)


def test_coefficients_change_within_a_range(session, scene):
    """From the start of a new table on its coefficients hold; before it the old ones do."""
    new_start = date(2024, 9, 2)
    for day in (new_start - timedelta(days=1), new_start):
        store_day(scene, day)
    hourly = np.tile(np.array([200_000, 100_000, 700_000]), (8760, 1))
    table = create_table(
        session, service_of(session, scene), "second", Coefficients(tuple(POINTS.values()), hourly)
    )
    for state in ("validated", "process", "active"):
        set_table_state(session, table.id, state, new_start)
    days = service_series(
        session,
        service_of(session, scene),
        Series.SELFCONSUMPTION,
        (new_start - timedelta(days=1), new_start),
        NOW,
    )
    # 14 h: .4, .2, 1.4 of .6, .2, .1; 15 h: 1.2, .6, 4.2 of 1, .5, 3; 16 h: .8, .4, 2.8 of 2.5, .9, .4.
    second = (0.4 + 0.2 + 0.1) + (1.0 + 0.5 + 3.0) + (0.8 + 0.4 + 0.4)
    assert [day.value for day in days] == [6.9, pytest.approx(second)]


def test_coefficients_may_not_change_within_four_months(session, scene):
    """A table that would start too soon after the last one is refused, with the first possible day."""
    table = create_table(
        session, service_of(session, scene), "soon", Coefficients((POINTS["A"],), np.array([1_000_000]))
    )
    set_table_state(session, table.id, "validated")
    set_table_state(session, table.id, "process")
    with pytest.raises(Conflict, match="from 2024-09-01 on"):
        set_table_state(session, table.id, "active", date(2024, 8, 31))


def test_a_member_joins_and_another_leaves_within_a_range(session, scene):
    """Who has left takes no share any more, and nobody else gets it; who joins without a coefficient gets none."""
    for number in range(1, 3):
        store_day(scene, DAY + timedelta(days=number))
    end_inscription(session, scene.inscriptions["C"], DAY)
    newcomer = create_member(session, NewMember(scene.community, "D", DAY))
    sensor = add_sensor("D meter")
    store(sensor, midnight(DAY + timedelta(days=2)), day_of([1, 1, 1, 1]))
    create_supply_point(
        session,
        NewSupplyPoint(scene.service, newcomer.id, cups(4), sensor.id, starts_on=DAY + timedelta(days=2)),
        DAY,
    )
    days = [DAY + timedelta(days=number) for number in range(3)]
    found = [kwh(totals(session, scene, day)) for day in days]
    # C used 3.6 kWh and 1.7 of them shared; D uses 4 kWh and has no coefficient.
    assert found[0] == (12, 10, 6.9)
    assert found[1] == (12, pytest.approx(6.4), pytest.approx(5.2))
    assert found[2] == (12, pytest.approx(10.4), pytest.approx(5.2))


def test_missing_hours_lower_the_coverage_and_are_no_zeros(session, scene):
    """Without the plant's reading an hour is left out of all sums; coverage says how much is missing."""
    day = DAY + timedelta(days=1)
    store_day(scene, day)
    generation = day_of(GENERATION)
    generation[15] = NAN
    other = DAY + timedelta(days=2)
    store(scene.plant_sensor, midnight(other), generation)
    for letter, values in CONSUMPTION.items():
        store(scene.sensors[letter], midnight(other), day_of(values))
    metrics = totals(session, scene, other)
    # The hour with 4 kWh produced and 3.8 consumed, 3.3 of them shared, is left out.
    assert kwh(metrics) == (8, pytest.approx(6.2), pytest.approx(3.6))
    assert metrics.coverage == round(95 / 96, 4)
    assert totals(session, scene, day).coverage == 1.0


def test_a_late_correction_settles_that_day_only(session, scene, monkeypatch):
    """A corrected reading is taken instead of the old one, and no other day is worked out anew."""
    days = [DAY + timedelta(days=number) for number in range(5)]
    for day in days[1:]:
        store_day(scene, day)
    assert kwh(totals(session, scene, DAY, days[-1])) == (60, 50, pytest.approx(34.5))
    session.commit()
    settled: list[date] = []
    original = settle.read_readings

    def spy(session, service, inscriptions, plants, grid):
        settled.extend(np.unique((grid.starts + np.timedelta64(2, "h")).astype("datetime64[D]")).tolist())
        return original(session, service, inscriptions, plants, grid)

    monkeypatch.setattr(settle, "read_readings", spy)
    assert kwh(totals(session, scene, DAY, days[-1]))[0] == 60
    assert settled == []
    # Member C measured 1.2 kWh less between 14 and 15 h.
    store(scene.sensors["C"], midnight(days[2]) + 14 * HOUR, [1.8], ago=timedelta(days=9))
    session.commit()
    assert kwh(totals(session, scene, DAY, days[-1])) == (60, pytest.approx(48.8), pytest.approx(34.5))
    assert settled == [days[2]]


def test_new_readings_between_settling_and_committing_are_not_lost(app, session, scene):
    """What is stored while a service is being settled has it settled again the next time."""
    assert kwh(totals(session, scene, DAY))[1] == 10
    with app.app_context():
        other = db.session
        store(scene.sensors["A"], midnight(DAY) + 12 * HOUR, [1.4], ago=timedelta(days=1))
        other.commit()
    session.commit()
    assert kwh(totals(session, scene, DAY))[1] == pytest.approx(11)


def test_a_day_has_one_note_however_often_its_readings_come(app, session, scene):
    """Notes that a day has changed do not pile up; one that is being taken away does not count."""
    totals(session, scene, DAY)
    session.commit()
    count = db.text("select count(*) from community_stale where service_id = :id")
    for number in range(6):
        sensor = scene.sensors["ABC"[number % 3]]
        store(sensor, midnight(DAY) + number * HOUR, [0.5], ago=timedelta(days=1))
        session.commit()
    assert session.scalar(count, {"id": scene.service}) == 1
    # This session settles and has not committed: the note is gone for it, and locked for others.
    assert kwh(totals(session, scene, DAY))[1] == pytest.approx(13)
    with app.app_context():
        other = db.session
        store(scene.sensors["A"], midnight(DAY) + 20 * HOUR, [1.0], ago=timedelta(days=1))
        other.commit()
    session.commit()
    assert session.scalar(count, {"id": scene.service}) == 1
    assert kwh(totals(session, scene, DAY))[1] == pytest.approx(14)


def test_forecasts_are_no_readings(session, scene):
    """A value that was held before its event had ended does not count as measured."""
    store(scene.plant_sensor, midnight(DAY + timedelta(days=1)), day_of(GENERATION), ago=timedelta(hours=-1))
    store(scene.sensors["A"], midnight(DAY + timedelta(days=1)), day_of([1, 1, 1, 1]))
    assert kwh(totals(session, scene, DAY + timedelta(days=1))) == (0, 0, 0)


def test_power_in_quarter_hours_becomes_energy_of_hours(session, scene):
    """Four quarter-hours of 4, 8, 4 and 8 kW are 6 kWh; an hour with a missing quarter has no reading."""
    sensor = add_sensor("A in kW", "kW", timedelta(minutes=15))
    inscription = session.get(Inscription, scene.inscriptions["A"])
    inscription.supply_point.consumption_sensor_id = sensor.id
    settle_anew(session, service_of(session, scene))
    quarters = np.zeros(96)
    quarters[56:60] = [4, 8, 4, 8]
    quarters[60] = NAN
    store(sensor, midnight(DAY), quarters)
    values = member_series(
        session, service_of(session, scene), [inscription], Series.CONSUMPTION, (DAY, DAY), NOW
    )
    assert [day.value for day in values] == [6.0]
    assert totals(session, scene, DAY).coverage == round(95 / 96, 4)


def test_consumption_of_connections_may_count_negative(session, scene):
    """A sensor that counts consumption negative is turned round where its link says so."""
    inscription = session.get(Inscription, scene.inscriptions["A"])
    inscription.supply_point.is_inverted = True
    settle_anew(session, service_of(session, scene))
    store(scene.sensors["A"], midnight(DAY), [-v for v in day_of(CONSUMPTION["A"])], ago=timedelta(days=1))
    assert kwh(totals(session, scene, DAY)) == (12, 10, 6.9)


def test_a_sensor_of_days_cannot_be_linked(session, scene):
    """Hourly settlement needs readings of an hour or less."""
    sensor = add_sensor("daily", "kWh", timedelta(days=1))
    with pytest.raises(ResolutionMismatch, match="measures every P1D; settlement needs readings of PT1H"):
        create_supply_point(
            session, NewSupplyPoint(scene.service, scene.members["A"], cups(5), sensor.id, starts_on=DAY), DAY
        )


def test_the_operators_values_count_and_differences_are_told(session, scene):
    """Where the operator says what a member used, that is taken, beside ours, and counted as different."""
    sensor = add_sensor("A of the operator")
    session.get(Inscription, scene.inscriptions["A"]).operator_sensor_id = sensor.id
    settle_anew(session, service_of(session, scene))
    # Ours: 0, .6, 1, 2 kWh.
    store(sensor, midnight(DAY), day_of([0, 0.6, 0.7, 2.0]))
    metrics = totals(session, scene, DAY)
    assert kwh(metrics) == (12, 10, pytest.approx(6.6))
    assert metrics.differences == 1
    found = list_differences(session, service_of(session, scene), DAY, DAY, NOW)
    assert [(d.start, d.supply_point, d.operator_kwh, d.computed_kwh) for d in found] == [
        (midnight(DAY) + 14 * HOUR, POINTS["A"], 0.7, 1.0)
    ]


def test_a_point_offers_part_of_its_use_to_each_of_several_communities(session, scene):
    """Austria: 60 % of a member's use count here; another 50 % elsewhere would be more than all of it."""
    service = service_of(session, scene)
    for community in (service.community, session.get(CommunityService, scene.other_service).community):
        community.profile = "at"
    service.method = "dynamic"
    for letter, inscription in scene.inscriptions.items():
        session.get(Inscription, inscription).participation_percent = 60 if letter == "A" else 100
    # Austria settles quarter-hours, of which hourly readings know nothing.
    settle_anew(session, service)
    assert kwh(totals(session, scene, DAY)) == (0, 0, 0)
    quarter = timedelta(minutes=15)
    sensors = {letter: add_sensor(f"{letter} quarters", "kWh", quarter).id for letter in ("A", "plant")}
    session.get(Inscription, scene.inscriptions["A"]).supply_point.consumption_sensor_id = sensors["A"]
    for letter in "BC":
        session.get(Inscription, scene.inscriptions[letter]).ends_on = DAY - timedelta(days=1)
    plant = session.query(Generator).filter_by(service_id=scene.service).one()
    plant.sensor_id, plant.participation_percent = sensors["plant"], 50
    settle_anew(session, service)
    store(sensors["plant"], midnight(DAY) + 12 * HOUR, [1.0, 4.0])
    store(sensors["A"], midnight(DAY) + 12 * HOUR, [2.0, 1.0])
    # Half of the generation, 0.5 and 2 kWh, meets 60 % of the use, 1.2 and 0.6 kWh.
    assert kwh(totals(session, scene, DAY)) == (2.5, pytest.approx(1.8), pytest.approx(1.1))
    with pytest.raises(Conflict, match="add up to 110 %"):
        create_supply_point(
            session,
            NewSupplyPoint(
                scene.other_service,
                other_member(session, scene),
                POINTS["A"],
                starts_on=DAY,
                participation_percent=50,
            ),
            DAY,
        )
    made = create_supply_point(
        session,
        NewSupplyPoint(
            scene.other_service,
            other_member(session, scene),
            POINTS["A"],
            starts_on=DAY,
            participation_percent=40,
        ),
        DAY,
    )
    assert made.participation_percent == 40


def other_member(session, scene):
    """Find a member of the other community."""
    return session.query(CommunityMember).filter_by(community_id=scene.other_community).first().id


def test_values_are_provisional_until_the_end_of_the_next_month(session, scene):
    """Spain's profile, by our choice, closes May at the end of June; a setting of the service may say otherwise."""
    at = [datetime(2024, 6, 30, 12, tzinfo=UTC), datetime(2024, 7, 1, 12, tzinfo=UTC)]
    assert [totals(session, scene, DAY, now=now).provisional for now in at] == [True, False]
    service_of(session, scene).closing = {"months": 2, "day": 10}
    assert totals(session, scene, DAY, now=at[1]).provisional


def test_the_day_that_is_not_over_counts_as_far_as_it_has_gone(session, scene):
    """At 15:30 three of the four hours have ended; nothing of today is kept."""
    now = midnight(DAY) + 15 * HOUR + HOUR / 2
    metrics = totals(session, scene, DAY, now=now)
    assert kwh(metrics) == (8, pytest.approx(6.2), pytest.approx(3.6))
    assert metrics.coverage == 1.0
    assert session.get(CommunityDay, (scene.service, DAY)) is None


def test_emission_factors_that_an_operator_entered(session, scene):
    """The factor of the year replaces the default; on self-consumption fewer emissions are avoided."""
    session.add(EmissionFactorRow(zone="ES", year=2024, grams_per_kwh=100.0, source="agency"))
    session.flush()
    metrics = totals(session, scene, DAY)
    assert (metrics.avoided_grams, metrics.factor_grams_per_kwh, metrics.factor_source) == (
        1200,
        100,
        "agency",
    )
    service_of(session, scene).emission_basis = "selfconsumption"
    assert totals(session, scene, DAY).avoided_grams == 690


def test_hourly_intensity_instead_of_a_factor(session, scene):
    """With hourly intensities of 100, 50 and 200 g at 13, 14 and 15 h: 2, 6 and 4 kWh avoid 1,300 g."""
    sensor = add_sensor("intensity", "g/kWh")
    service_of(session, scene).intensity_sensor_id = sensor.id
    settle_anew(session, service_of(session, scene))
    store(sensor, midnight(DAY), [300] * 13 + [100, 50, 200] + [300] * 8)
    metrics = totals(session, scene, DAY)
    assert metrics.avoided_grams == 1300
    assert metrics.factor_grams_per_kwh == round(1300 / 12, 4)


def test_invariants_hold_on_random_days(session, scene):
    """P = S + X, C = S + G and S at most P and C, for the service and each member, on twenty random days."""
    rng = np.random.default_rng(7)
    for number in range(20):
        start = midnight(DAY + timedelta(days=number))
        for sensor in (scene.plant_sensor, *scene.sensors.values()):
            values = np.round(rng.random(24) * 3, 3)
            values[rng.random(24) < 0.1] = NAN
            store(sensor, start, values, ago=timedelta(days=2))
    last = DAY + timedelta(days=19)
    service = service_of(session, scene)
    days = settle.settle_days(session, service, DAY, last, NOW)
    assert len(days) == 20
    inscriptions = [session.get(Inscription, number) for number in scene.inscriptions.values()]
    points = settle.settle_points(session, service, inscriptions, (DAY, last), NOW)
    for day, point in zip(days, points, strict=True):
        assert 0 <= day.shared <= min(day.produced, day.consumed)
        assert (point.used, point.consumed) == (day.shared, day.consumed)
        assert point.offered == day.produced
