"""Wishes and limits that a plan does not keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Missed", "Obstacle"]


class Obstacle(str):
    """A limit at one boundary that stands against a wish.

    As text it counts boundaries; who knows the time of a boundary says it with `at`.

    >>> Obstacle("soc target", 2), Obstacle("soc target", 2).at("08:00")
    ('soc target at boundary 2', 'soc target at 08:00')
    """

    limit: str
    boundary: int

    def __new__(cls, limit: str, boundary: int) -> Obstacle:
        """Name a limit and its boundary (0 … n)."""
        text = super().__new__(cls, f"{limit} at boundary {boundary}")
        text.limit, text.boundary = limit, boundary
        return text

    def at(self, when: str) -> str:
        """Name it with a time instead of the number of its boundary."""
        return f"{self.limit} at {when}"


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
        clashes: Names of the limits that stand against it; those that hold at one boundary as `Obstacle`.
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

    def clashes_at(self, word: Callable[[int], str]) -> list[str]:
        """Name what stands against it, with the time of boundaries as the reader knows it."""
        return [one.at(word(one.boundary)) if isinstance(one, Obstacle) else one for one in self.clashes]

    def sentence(self, when: str, word: Callable[[int], str] | None = None) -> str:
        """Say it in one sentence.

        Args:
            when: When, as the reader knows it.
            word: Gives the time of a boundary, as the reader knows it; None: boundaries are counted.
        """
        named = self.clashes if word is None else self.clashes_at(word)
        reason = f"; in its way: {', '.join(named)}" if named else ""
        return (
            f"{self.limit} of {self.device} at {when}: wanted {self.wanted:.6g} {self.unit}, "
            f"reached {self.reached:.6g} {self.unit}{reason}."
        )
