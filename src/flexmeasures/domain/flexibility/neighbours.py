"""Neighbours behind one connection: what the plan of their site leaves to each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.scheduling import Commitment, Connection, Site

__all__ = ["Room", "move_neighbour", "room_beside", "within_room"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Room:
    """Power that the plan of a site leaves to one of its assets.

    Args:
        most_mw: Highest power of each slot (n,) [MW]; inf where nothing limits it.
        least_mw: Lowest power of each slot (n,) [MW]; -inf likewise.
    """

    most_mw: FloatArray
    least_mw: FloatArray


def room_beside(
    others_mw: FloatArray, import_limit_mw: FloatArray, export_limit_mw: FloatArray, width: int
) -> Room:
    """Say what is left to an asset when its neighbours do what is planned.

    Args:
        others_mw: Power of all others at the site, in slots of its plan (n · width,) [MW].
        import_limit_mw: Limit of the connection there, ≥ 0 [MW].
        export_limit_mw: Likewise, ≥ 0 [MW].
        width: How many slots of the site one slot of the asset has; what is left holds in each of them.
    """
    most = (import_limit_mw - others_mw).reshape(-1, width).min(axis=1)
    least = (-export_limit_mw - others_mw).reshape(-1, width).max(axis=1)
    return Room(most, least)


def within_room(site: Site, room: Room, planned_mw: FloatArray) -> tuple[Site, str | None]:
    """Limit an asset to what its neighbours leave to it.

    Where they need its power, to consume or to produce, it goes on as planned.

    Args:
        site: The asset as a site of its own.
        room: What is left to it.
        planned_mw: What it is planned to do (n,) [MW].

    Returns:
        The site, and the name of the commitment that must be kept; None: nobody needs it.
    """
    slots = planned_mw.size
    own = site.connection.per_slot(slots)
    most, least = room.most_mw[:slots], room.least_mw[:slots]
    limits = Connection(
        np.minimum(own[0], np.maximum(most, 0.0)), np.minimum(own[1], np.maximum(-least, 0.0))
    )
    limited = replace(site, connection=limits)
    needed = (most < 0) | (least > 0)
    if not needed.any():
        return limited, None
    name = f"what the neighbours of {site.name} need"
    kept = Commitment(name, np.where(needed, planned_mw, np.nan), 0.0, 0.0, is_paid=False)
    return replace(limited, commitments=(*limited.commitments, kept)), name


def move_neighbour(
    site: Site, slots: int, change_mw: FloatArray, lengths: tuple[timedelta, timedelta]
) -> Site:
    """Let an asset know that a neighbour does something else than was planned.

    Args:
        site: The asset, limited to its room.
        slots: Slots of the asset: n.
        change_mw: Change of the neighbour's power in its own slots, from the same start on [MW]; nothing changes later.
        lengths: Of a slot of the asset, and of one of the neighbour; one of them is a multiple of the other.
    """
    own, theirs = lengths
    if theirs <= own:
        width = own // theirs
        parts = np.zeros(slots * width)
        known = change_mw[: parts.size]
        parts[: known.size] = known
        up, down = parts.reshape(slots, width).max(axis=1), parts.reshape(slots, width).min(axis=1)
    else:
        up = np.zeros(slots)
        known = np.repeat(change_mw, theirs // own)[:slots]
        up[: known.size] = known
        down = up
    limits = site.connection.per_slot(slots)
    moved = Connection(np.maximum(limits[0] - up, 0.0), np.maximum(limits[1] + down, 0.0))
    return replace(site, connection=moved)
