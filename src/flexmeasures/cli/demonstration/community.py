"""The demonstration of an energy community: nine homes that share their roofs, on a database of its own.

What the community shared is settled through the same use cases as anywhere; other keys and a battery are worked out
beside it from the same readings.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from sqlalchemy.orm import Session

from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.communities.allocation import GivenKeys, ProRata, Round, allocate, to_units
from flexmeasures.domain.communities.coefficients import Coefficients
from flexmeasures.domain.communities.identifiers import check_letters
from flexmeasures.domain.communities.methods import pooled_energy
from flexmeasures.domain.communities.optimise import best_fixed, best_grouped
from flexmeasures.domain.communities.storage import SharedBattery, plan_shared_battery, reachable_load
from flexmeasures.domain.time import event_grid, local_wall_clock
from flexmeasures.services.communities.metrics import ServiceMetrics, service_metrics
from flexmeasures.services.communities.set_up import (
    NewCommunity,
    NewMember,
    NewService,
    create_community,
    create_member,
    create_service,
)
from flexmeasures.services.communities.tables import create_table, set_table_state
from flexmeasures.services.communities.taking_part import (
    NewPlant,
    NewSupplyPoint,
    create_plant,
    create_supply_point,
)

__all__ = [
    "CommunityStory",
    "Comparison",
    "draw_community",
    "make_community",
    "read_homes",
    "tabulate_community",
]

ZONE = "America/Los_Angeles"
HOUR = timedelta(hours=1)
FIRST, MONTH = date(2017, 5, 1), date(2017, 6, 1)
LAST = date(2017, 6, 30)
BATTERY = SharedBattery(power_kw=10, capacity_kwh=20)


@dataclass(frozen=True)
class Comparison:
    """A way of sharing, and what would have been shared in the month [kWh]."""

    name: str
    shared_kwh: float


@dataclass(frozen=True)
class CommunityStory:
    """The community's June, and what it might have been.

    Attributes:
        metrics: Of the month, settled from the database.
        others: Other ways of sharing, from today's to the best.
        hours: Mean day of the month [kWh]: produced, consumed and shared today, shape ``(3, 24)``.
        battery_kw: Mean day of the battery, charging positive, shape ``(24,)``.
    """

    metrics: ServiceMetrics
    others: tuple[Comparison, ...]
    hours: np.ndarray[Any, Any]
    battery_kw: np.ndarray[Any, Any]


def read_homes() -> tuple[datetime, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Read the excerpt: start, consumption (n_hours, 9) and generation (n_hours,) [kWh]."""
    packed = (
        files("flexmeasures.cli.demonstration")
        .joinpath("data", "fontana_9_homes_2017-05_06.csv.gz")
        .read_bytes()
    )
    rows = list(csv.reader(gzip.decompress(packed).decode().splitlines()))[1:]
    values = np.array([[float(cell) for cell in row[1:]] for row in rows])
    return datetime.fromisoformat(rows[0][0]), values[:, :-1], values[:, -1]


def make_community(session: Session, store: Any, add_sensor: Any) -> CommunityStory:
    """Set the community up, store its readings, and tell what came of it.

    Args:
        session: Within its transaction; the caller commits.
        store: Called with a sensor's id and beliefs.
        add_sensor: Called with a name; makes a sensor of kWh an hour and gives its id.
    """
    start, consumption, generation = read_homes()
    community = create_community(session, NewCommunity("Nine homes", "es", timezone=ZONE))
    service = create_service(session, NewService(community.id, "Nine roofs", power_kw=40.0), FIRST)
    sensors = [add_sensor("roofs"), *(add_sensor(f"home {n + 1}") for n in range(consumption.shape[1]))]
    create_plant(session, NewPlant(service.id, "roofs", sensors[0], is_inverted=False), FIRST)
    points = []
    for number, sensor in enumerate(sensors[1:]):
        digits = f"{number + 1:016d}"
        points.append(f"ES{digits}{check_letters(digits)}")
        member = create_member(session, NewMember(community.id, f"Home {number + 1}", FIRST))
        create_supply_point(
            session, NewSupplyPoint(service.id, member.id, points[-1], sensor, starts_on=FIRST), FIRST
        )
    equal = np.full(len(points), 10**6 // len(points))
    equal[0] += 10**6 - equal.sum()
    table = create_table(session, service, "equal parts", Coefficients(tuple(points), equal))
    for state in ("validated", "process", "active"):
        set_table_state(session, table.id, state, FIRST)
    service.status = "active"
    starts = event_grid(start, HOUR, len(generation))
    for sensor, values in zip(sensors, (generation, *consumption.T), strict=True):
        store(
            sensor,
            Beliefs(starts, values, np.zeros(len(values), "timedelta64[us]"), np.zeros(len(values), "int32")),
        )
    metrics = service_metrics(session, service, MONTH, LAST, datetime.now(UTC))
    assert metrics is not None  # noqa: S101 - the readings were stored above
    return _compare(metrics, starts, to_units(generation), to_units(consumption), equal)


def _compare(
    metrics: ServiceMetrics, starts: Any, generation: Any, consumption: Any, equal: Any
) -> CommunityStory:
    """Share June by other keys, which were worked out from May: nobody knows a month before it is over."""
    local = local_wall_clock(starts, ZONE)
    days = local.astype("datetime64[D]")
    hours = ((local - days) // np.timedelta64(1, "h")).astype(np.int64)
    groups = hours * 2 + ~np.is_busday(days)
    june = days >= np.datetime64(MONTH)
    may = ~june
    sun, use = generation[june], consumption[june]
    by_hour = best_grouped(generation[may], consumption[may], groups[may], 48)[groups[june]]
    stored = plan_shared_battery(sun, reachable_load(by_hour, use), BATTERY, 1.0)
    net = np.maximum(sun - np.rint(stored * 1e6).astype(np.int64), 0)

    def shared(keys: Any, offered: Any = sun) -> float:
        rounds = (Round(ProRata() if keys is None else GivenKeys(keys)),)
        return float(allocate(offered[:, None], use, rounds).used.sum()) / 1e6

    used = use.sum(axis=0)
    by_use = used * 10**6 // used.sum()
    others = (
        Comparison("Equal parts, as it was", shared(equal)),
        Comparison("By consumption of the month", shared(by_use)),
        Comparison(
            "Fixed coefficients proposed from May", shared(best_fixed(generation[may], consumption[may]))
        ),
        Comparison("Hourly coefficients proposed from May", shared(by_hour)),
        Comparison(
            "Pooled: the most that sharing can reach", float(pooled_energy(sun[:, None], use).sum()) / 1e6
        ),
        Comparison("Hourly, and a shared battery of 20 kWh", shared(by_hour, net)),
    )
    today = allocate(sun[:, None], use, (Round(GivenKeys(equal)),)).used.sum(axis=1)
    series = (sun / 1e6, use.sum(axis=1) / 1e6, today / 1e6, stored)
    count = np.bincount(hours[june], minlength=24)
    mean = [np.bincount(hours[june], weights=each, minlength=24) / count for each in series]
    return CommunityStory(metrics, others, np.array(mean[:3]), mean[3])


def tabulate_community(story: CommunityStory) -> Table:
    """Show the ways of sharing beside each other."""
    table = Table(
        box=SIMPLE_HEAD, title="What another key would have given in June 2017", title_justify="left"
    )
    table.add_column("Way of sharing", no_wrap=True)
    for heading in ("Shared\nkWh", "of the\ngeneration", "of the\nconsumption", "against\nequal parts"):
        table.add_column(heading, justify="right", no_wrap=True)
    totals = story.metrics.totals
    today = story.others[0].shared_kwh
    for one in story.others:
        share = (one.shared_kwh * 1e6 / totals.produced, one.shared_kwh * 1e6 / totals.consumed)
        table.add_row(
            one.name,
            f"{one.shared_kwh:,.0f}",
            f"{share[0]:.1%}",
            f"{share[1]:.1%}",
            f"{one.shared_kwh - today:+,.0f}",
        )
    return table


def draw_community(story: CommunityStory, path: Path) -> None:
    """Draw the mean day of the month and the ways of sharing into a page that needs no other file."""
    from bokeh.embed import file_html  # noqa: PLC0415 - slow to load
    from bokeh.layouts import column  # noqa: PLC0415
    from bokeh.plotting import figure  # noqa: PLC0415
    from bokeh.resources import INLINE  # noqa: PLC0415

    hours = np.arange(24) + 0.5
    day = figure(title="Mean day of June 2017 (local time)", y_axis_label="kWh in the hour", height=340,
                 sizing_mode="stretch_width", x_range=(0, 24))  # fmt: skip
    day.vbar(hours, 0.9, story.hours[2], color="#2b7a4b", legend_label="Shared, equal parts")
    day.step(hours, story.hours[0], mode="center", color="#e6a700", line_width=2.5, legend_label="Produced")
    day.step(hours, story.hours[1], mode="center", color="#444444", line_width=2.5, legend_label="Consumed")
    day.step(
        hours,
        story.battery_kw,
        mode="center",
        color="#1f77b4",
        line_width=1.5,
        legend_label="Battery charges",
    )
    day.legend.location = "top_left"
    names = [one.name for one in reversed(story.others)]
    bars = figure(title="Shared energy [kWh]", y_range=names, height=260, sizing_mode="stretch_width")
    bars.hbar(names, 0.7, [one.shared_kwh for one in reversed(story.others)], color="#2b7a4b")
    bars.x_range.start = 0
    path.write_text(
        file_html(column(day, bars, sizing_mode="stretch_width"), INLINE, "FlexMeasures: nine homes")
    )
