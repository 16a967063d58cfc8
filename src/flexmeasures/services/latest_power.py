"""What assets did last: the newest measurement of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import read_newest_event
from flexmeasures.data.tables import Asset
from flexmeasures.domain.monitoring import patience_for
from flexmeasures.domain.units import conversion_factor

__all__ = ["LatestPower", "read_latest_powers"]


@dataclass(frozen=True)
class LatestPower:
    """The last measured power of an asset.

    Attributes:
        asset: Whose.
        start: Start of the slot that was measured; None: nothing was.
        power_mw: Mean power in it [MW, consumption positive].
    """

    asset: Asset
    start: datetime | None = None
    power_mw: float | None = None

    @property
    def end(self) -> datetime | None:
        """End of the slot."""
        return None if self.start is None else self.start + self.asset.sensor.event_resolution

    @property
    def share(self) -> float:
        """Power as a share of the capacity, without sign, at most 1; 0 if it is not known."""
        if self.power_mw is None or not self.asset.capacity_in_mw:
            return 0.0
        return min(abs(self.power_mw) / self.asset.capacity_in_mw, 1.0)

    @property
    def verb(self) -> str:
        """What it does, as a word."""
        if not self.power_mw:
            return "Running"
        return "Consuming" if self.power_mw > 0 else "Producing"

    def is_late(self, now: datetime) -> bool:
        """Tell whether values came and have stopped coming: for a day, or for four slots if these are longer."""
        return self.end is not None and self.end < now - patience_for(self.asset.sensor.event_resolution)


def read_latest_powers(
    session: Session, assets: Sequence[Asset], until: datetime | None
) -> dict[int, LatestPower]:
    """Read the newest measurement of each asset, by id; in one query.

    Args:
        session: For reading.
        assets: Of which.
        until: Only slots that have ended at this instant; None: also what is said of the future, as in simulations.
    """
    found = read_newest_event(session, [asset.sensor for asset in assets], until) if assets else {}
    latest = {}
    for asset in assets:
        start, value = found.get(asset.sensor.id, (None, None))
        power = None if value is None else value * conversion_factor(asset.sensor.unit, "MW")
        latest[asset.id] = LatestPower(asset, start, power)
    return latest
