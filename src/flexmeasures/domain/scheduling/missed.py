"""What a plan does not keep."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Missed"]


@dataclass(frozen=True)
class Missed:
    """A wish or limit that the schedule does not keep.

    Args:
        limit: Name of what was asked for, for example ``"soc target"``.
        device: Name of the device, or of the connection.
        index: Which boundary between slots (0 … n; for states of charge) or which slot (0 … n−1; for power).
        wanted: What was asked for [unit].
        reached: What the schedule has instead [unit].
        unit: ``"MWh"`` at a boundary, ``"MW"`` in a slot, ``"run"`` for a load that does not run.
        clashes: Names of the limits that stand against it.
    """

    limit: str
    device: str
    index: int
    wanted: float
    reached: float
    unit: str = "MWh"
    clashes: tuple[str, ...] = ()

    @property
    def amount(self) -> float:
        """By how much it was missed, never negative [unit]."""
        return abs(self.wanted - self.reached)

    def __str__(self) -> str:
        """Say it in one sentence, counting slots and boundaries.

        >>> print(Missed("soc target", "car", 4, 5.0, 3.0, clashes=("maximum consumption of car",)))
        soc target of car at boundary 4: wanted 5 MWh, reached 3 MWh; in its way: maximum consumption of car.
        """
        return self.sentence(f"{'boundary' if self.unit == 'MWh' else 'slot'} {self.index}")

    def sentence(self, when: str) -> str:
        """Say it in one sentence, with the time as the reader knows it."""
        reason = f"; in its way: {', '.join(self.clashes)}" if self.clashes else ""
        return (
            f"{self.limit} of {self.device} at {when}: wanted {self.wanted:.6g} {self.unit}, "
            f"reached {self.reached:.6g} {self.unit}{reason}."
        )
