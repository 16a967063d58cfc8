"""Files and figures of single countries: keys sent to the operator after the fact (France), the premium (Italy)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.tables import CommunityService, Sensor
from flexmeasures.domain.communities.allocation import UNITS_PER_KWH
from flexmeasures.domain.communities.countries.france import KeyFileForm, keys_in_tenths, write_key_file
from flexmeasures.domain.communities.countries.italy import Plant, premium_per_mwh, tariff_refund
from flexmeasures.domain.communities.countries.profile import CountryProfile
from flexmeasures.domain.communities.settlement import IntervalEnergies, settle_intervals
from flexmeasures.domain.errors import Conflict, InvalidInput
from flexmeasures.domain.time import find_zone, from_datetime64
from flexmeasures.domain.units import KWH_PER_MWH
from flexmeasures.services.communities.blocks import Block, make_blocks, profile_of, rounds_of_block
from flexmeasures.services.communities.metrics import default_range
from flexmeasures.services.communities.readings import read_at_intervals, read_readings
from flexmeasures.services.find import get_row

__all__ = ["Premium", "export_keys", "work_out_premium"]

_DAY = timedelta(days=1)
_MOST_DAYS = 366


@dataclass(frozen=True)
class Premium:
    """Premium on the shared energy of some days.

    Attributes:
        first: First local day.
        last: Last local day.
        shared_kwh: Shared energy [kWh].
        premium_eur: On the shared energy whose zonal price is known [EUR].
        unpriced_kwh: Shared energy whose price is unknown, without premium yet [kWh].
        refund_eur: Refund of tariff components [EUR]; None where the year's value is unknown.
        certainty: How sure the figures of the premium are.
        source: Where they stand.
    """

    first: date
    last: date
    shared_kwh: float
    premium_eur: float
    unpriced_kwh: float
    refund_eur: float | None
    certainty: str
    source: str


def export_keys(session: Session, service: CommunityService, month: date, now: datetime) -> tuple[str, bytes]:
    """Write the keys of a month by slot, from what was measured: the organiser's file for the French operator.

    Args:
        session: For reading.
        service: With one plant, whose id for settlement names the file.
        month: Any day of it.
        now: The present; the month must be over.

    Returns:
        Its name and its bytes.

    Raises:
        Conflict: If the profile has no such file, the month is not over, the service does not have one plant with an
            id, members are not told apart, or somebody joined or left within the month.
    """
    first = month.replace(day=1)
    last = (first + 31 * _DAY).replace(day=1) - _DAY
    form = _key_form(profile_of(service), first)
    zone = find_zone(service.community.timezone)
    if now.astimezone(zone).date() <= last:
        raise Conflict(
            f"The month from {first} to {last} is not over. Its keys can be written from {last + _DAY} on."
        )
    settled = list(_settled_blocks(session, service, first, last))
    plants = settled[0][0].plants
    if len(plants) != 1 or plants[0].cil is None:
        raise Conflict(
            f"The file is that of one plant and named after its id; the service has {len(plants)} plants. "
            "Give the plant of the service its id (--cil), and other plants a service of their own."
        )
    members = [one.supply_point.cups for one in settled[0][0].inscriptions]
    if any([one.supply_point.cups for one in block.inscriptions] != members for block, _ in settled):
        raise Conflict(
            f"Members joined or left within {first:%Y-%m}: keys by slot need the same members all month."
        )
    starts = np.concatenate([block.grid.starts for block, _ in settled])
    slots = [from_datetime64(start).astimezone(zone) for start in starts]
    used = np.concatenate([energies.used for _, energies in settled])
    generation = np.concatenate([energies.generation for _, energies in settled])[:, 0]
    return write_key_file(plants[0].cil, members, slots, keys_in_tenths(used, generation), form)


def _key_form(profile: CountryProfile, day: date) -> KeyFileForm:
    form = profile.value("operator_file", day, None)
    if not form or "time_format" not in form:
        raise Conflict(
            f"{profile.name} has no file of keys by slot. It is for communities with the profile fr."
        )
    return KeyFileForm(separator=form["separator"], time_format=form["time_format"])


def work_out_premium(
    session: Session,
    service: CommunityService,
    plant: Plant,
    price_sensor_id: int,
    days: tuple[date | None, date | None],
    now: datetime,
) -> Premium | None:
    """Work out the Italian premium on the shared energy of a service, hour by hour.

    Args:
        session: For reading.
        service: Its community's profile has an incentive by zonal price.
        plant: What the premium depends on.
        price_sensor_id: Sensor of the zonal price, an amount of EUR per energy.
        days: First and last local day; as for metrics where left out.
        now: The present.

    Returns:
        None if there are no data.

    Raises:
        NotFound: If there is no such sensor.
        Conflict: If the profile has no such premium.
        InvalidInput: If the days are more than a year, or the plant cannot earn a premium.
    """
    span = default_range(session, service, *days, now)
    if span is None:
        return None
    profile = profile_of(service)
    rule: Any = profile.value("incentive", span[0], None)
    if not isinstance(rule, dict) or "reference_price" not in rule:
        raise Conflict(
            f"{profile.name} has no premium by zonal price. It is for communities with the profile it."
        )
    if (span[1] - span[0]).days >= _MOST_DAYS:
        raise InvalidInput(f"A premium is worked out for at most {_MOST_DAYS} days. Ask for less.")
    sensor = get_row(session, Sensor, price_sensor_id, "sensor")
    shared_kwh = premium = unpriced = refund = 0.0
    is_refund_known = True
    for block, energies in _settled_blocks(session, service, *span):
        kwh = energies.shared / UNITS_PER_KWH
        price = read_at_intervals(session, sensor, block.grid, "EUR/MWh")
        earned = kwh / KWH_PER_MWH * premium_per_mwh(plant, price, profile, block.days[0])
        shared_kwh += float(kwh.sum())
        premium += float(np.nansum(earned))
        unpriced += float(kwh[np.isnan(price)].sum())
        for day, energy in zip(block.days, np.add.reduceat(kwh, block.day_starts), strict=True):
            of_day = tariff_refund(float(energy) / KWH_PER_MWH, profile, day)
            is_refund_known = is_refund_known and of_day is not None
            refund += of_day or 0.0
    figure = profile.figure("incentive", span[0])
    return Premium(
        *span,
        shared_kwh=shared_kwh,
        premium_eur=premium,
        unpriced_kwh=unpriced,
        refund_eur=refund if is_refund_known else None,
        certainty=figure.certainty,
        source=figure.source,
    )


def _settled_blocks(
    session: Session, service: CommunityService, first: date, last: date
) -> Iterator[tuple[Block, IntervalEnergies]]:
    """Settle days block by block, interval by interval."""
    count = (last - first).days + 1
    for block in make_blocks(session, service, [first + n * _DAY for n in range(count)]):
        readings = read_readings(session, service, block.inscriptions, block.plants, block.grid)
        yield block, settle_intervals(readings, rounds_of_block(service, block))
