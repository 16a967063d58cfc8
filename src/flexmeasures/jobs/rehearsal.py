"""A rehearsal: what the first job of a process does for the first time is done once in its worker, before it forks.

Statements are compiled, libraries loaded and tables of the driver filled then, and every fork begins with them.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime, timedelta

import numpy as np
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from flexmeasures.data.database import db
from flexmeasures.data.faults import STORE_ERRORS, give_back
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.sites import site_ids
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, AssetType, DeviceState, Market, MarketType, Sensor
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.ids import MAX_ID
from flexmeasures.domain.scheduling.flex_model import DOCUMENTED_FLEX_MODELS
from flexmeasures.domain.scheduling.planning.assets import Plan
from flexmeasures.domain.time import event_grid
from flexmeasures.jobs.schedules import planning_of
from flexmeasures.services.schedules.make import is_stored, plan_schedule
from flexmeasures.services.schedules.request import ScheduleRequest
from flexmeasures.services.schedules.store import store_plans

__all__ = ["rehearse"]

PATIENCE = "2s"
"""Longest wait of the rehearsal for others; a worker that cannot rehearse begins all the same."""

ROOM = 1_000_000
"""Among so many numbers those are chosen that exist for the time of a rehearsal."""

START = datetime(2001, 1, 1, tzinfo=UTC)
QUARTER, DAY = timedelta(minutes=15), 96

log = logging.getLogger(__name__)


def rehearse(app: Flask) -> Plan | None:
    """Schedule a battery that exists in one transaction only, which is taken back.

    Returns:
        Its plan; None if a store does not answer: then the first jobs take longer.
    """
    with app.app_context():
        session = db.session
        try:
            session.execute(text(f"set local lock_timeout to '{PATIENCE}'"))
            return _schedule(session, app)
        except (FlexError, *STORE_ERRORS) as error:
            log.warning("Nothing could be prepared for jobs, so the first ones take longer: %s", error)
            return None
        finally:
            give_back(session)
            session.remove()


def _schedule(session: Session, app: Flask) -> Plan:
    # Among the last numbers that there are: no row of others has one, and no sequence is drawn from.
    number = MAX_ID - 2 * secrets.randbelow(ROOM)
    battery = _make_battery(session, number, f"rehearsal {secrets.token_hex(8)}")
    request = ScheduleRequest(battery.id, 1, START, 0.5, (), START, DAY * QUARTER, in_order=False)
    session.expunge_all()
    is_stored(session, request)
    planning = planning_of(app.config)
    asset = session.get_one(Asset, battery.id)
    site_ids(session, [asset.id])
    plan = plan_schedule(session, asset, request, planning)
    store_plans(session, [(asset, plan)], request.recorded_at, planning.kept, request.event_id)
    return plan


def _make_battery(session: Session, number: int, name: str) -> Asset:
    """Make a battery [1 MW, 1 MWh] with the number, and the one before it for the market of its prices."""
    session.add(MarketType(name=name, display_name=name))
    model = DOCUMENTED_FLEX_MODELS["battery"]
    session.add(AssetType(name=name, display_name=name, id=number, flex_model=dict(model)))
    session.flush()
    common = {"name": name, "event_resolution": QUARTER, "timezone": "UTC"}
    session.add(Asset(id=number - 1, name=name, asset_type_name=name))
    session.flush()
    session.add(Sensor(id=number - 1, asset_id=number - 1, unit="EUR/MWh", **common))
    session.flush()
    session.add(Market(id=number - 1, name=name, display_name=name, market_type_name=name))
    session.flush()
    battery = Asset(
        id=number,
        parent_id=number - 1,
        name=name,
        asset_type_name=name,
        market_id=number - 1,
        power_sensor_id=number,
        capacity_in_mw=1.0,
        min_soc_in_mwh=0.0,
        max_soc_in_mwh=1.0,
        state=DeviceState(soc_in_mwh=0.5, soc_datetime=START, soc_udi_event_id=1),
    )
    session.add(battery)
    session.flush()
    session.add(Sensor(id=number, asset_id=number, unit="MW", **common))
    session.flush()
    source = get_or_create_source(session, "FlexMeasures", "script")
    starts = event_grid(START, QUARTER, DAY)
    # Of two heights, so that there is something to decide.
    prices = np.where(np.arange(DAY) < DAY // 2, 50.0, 100.0)
    known = np.zeros(DAY, dtype="timedelta64[us]")
    beliefs = Beliefs(starts, prices, known, np.full(DAY, source.id, dtype=np.int32))
    insert_beliefs(session, [SensorBeliefs(number - 1, beliefs)])
    return battery
