"""Fitted models of forecasts: kept with what they were fitted on, and found again."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flexmeasures.data.tables.forecasts import fitted_model
from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.forecasting import Fit, Model, find_model
from flexmeasures.domain.time import from_datetime64, to_datetime64

__all__ = ["keep_fits", "read_fits"]

log = logging.getLogger(__name__)


def read_fits(session: Session, sensor_id: int, horizon: timedelta, model: Model) -> list[Fit]:
    """Find the kept fits of a model for a sensor and horizon, then those of the models that stand in for it.

    Fits of other versions, and those that cannot be read, are left out.
    """
    chain = [model]
    while chain[-1].fallback is not None:
        chain.append(find_model(chain[-1].fallback))
    if all(one.load is None for one in chain):
        return []
    rows = {
        row.model: row
        for row in session.execute(
            select(fitted_model).where(
                fitted_model.c.sensor_id == sensor_id, fitted_model.c.belief_horizon == horizon
            )
        )
    }
    found = []
    for one in chain:
        row = rows.get(one.name)
        if row is None or row.version != one.version or one.load is None:
            continue
        try:
            learned = one.load(row.learned)
        except (BadValues, KeyError, ValueError) as error:
            log.warning("The fit of %s for sensor %d is not used: %s", one.name, sensor_id, error)
            continue
        bounds = (
            -math.inf if row.lowest is None else row.lowest,
            math.inf if row.highest is None else row.highest,
        )
        found.append(Fit(one, learned, to_datetime64(row.known_until), row.measurements, bounds))
        break
    return found


def keep_fits(session: Session, sensor_id: int, horizon: timedelta, fits: Sequence[Fit]) -> None:
    """Keep the latest fit of each model, unless a later one is kept already."""
    latest = {fit.model.name: fit for fit in fits if fit.model.load is not None}
    for fit in latest.values():
        low, high = (bound if math.isfinite(bound) else None for bound in fit.bounds)
        values: dict[str, Any] = {
            "version": fit.model.version,
            "known_until": from_datetime64(fit.known_until.astype("datetime64[us]")).astimezone(UTC),
            "measurements": fit.rows,
            "lowest": low,
            "highest": high,
            "learned": fit.learned.dump(),
        }
        statement = insert(fitted_model).values(
            sensor_id=sensor_id, belief_horizon=horizon, model=fit.model.name, **values
        )
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["sensor_id", "belief_horizon", "model"],
                set_=values,
                where=(fitted_model.c.known_until <= statement.excluded.known_until)
                | (fitted_model.c.version != statement.excluded.version),
            )
        )
