"""What simulated price curves are asked for with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flexmeasures.api.coordination.shapes import read_resolution
from flexmeasures.domain.coordination.faults import Fault, raise_faults
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import parse_instant
from flexmeasures.services.coordination.curves import Curve, Point, draw_curve

__all__ = ["read_curve", "read_targets"]

_ZONE = "Europe/Oslo"


def read_targets(body: Mapping[str, Any]) -> list[tuple[str | None, str | None]]:
    """Read the ids of locations and resources that a simulated event is about.

    Raises:
        InvalidReport: If they are not a list of objects with texts.
    """
    targets = body.get("targets") or []
    faults: list[Fault] = []
    if not isinstance(targets, list) or not all(isinstance(target, Mapping) for target in targets):
        faults.append(Fault("targets", "targets is not a list of objects with resourceId and locationId."))
        targets = []
    read = [(target.get("locationId"), target.get("resourceId")) for target in targets]
    for number, names in enumerate(read):
        if not all(name is None or (isinstance(name, str) and 1 <= len(name) <= 128) for name in names):
            faults.append(Fault(f"targets[{number}]", "Ids are texts of 1 to 128 characters."))
    raise_faults(faults)
    return read


def read_curve(body: Mapping[str, Any], now: datetime) -> Curve:
    """Read a price curve; one for tomorrow is drawn if none is given.

    Raises:
        InvalidReport: If a price, a time or the resolution cannot be read.
    """
    area = body.get("priceArea")
    delta = body.get("priceCurveDelta")
    area = area if isinstance(area, str) and area else "NO1"
    if delta is None:
        return draw_curve(now, _ZONE, "NOK", area)
    faults: list[Fault] = []
    points: list[Point] = []
    if not isinstance(delta, Mapping) or not isinstance(delta.get("points"), list) or not delta["points"]:
        faults.append(Fault("priceCurveDelta.points", "points is not a list of at least one point."))
        raise_faults(faults)
        raise AssertionError
    resolution = read_resolution(delta.get("resolution", "01:00:00"), "priceCurveDelta.resolution", faults)
    for number, point in enumerate(delta["points"]):
        path = f"priceCurveDelta.points[{number}]"
        price = point.get("price") if isinstance(point, Mapping) else None
        if isinstance(price, bool) or not isinstance(price, int | float) or not abs(price) < 1e6:
            faults.append(Fault(f"{path}.price", "price is not a number."))
            continue
        try:
            points.append(Point(parse_instant(point.get("timestamp"), "timestamp"), float(price)))
        except InvalidInput as error:
            faults.append(Fault(f"{path}.timestamp", str(error)))
    raise_faults(faults)
    currency = delta.get("currency")
    return Curve(
        sorted(points, key=lambda point: point.start),
        resolution or timedelta(hours=1),
        currency if isinstance(currency, str) and len(currency) == 3 else "NOK",
        area,
    )
