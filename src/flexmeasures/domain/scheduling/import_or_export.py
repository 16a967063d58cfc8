"""The choice between import and export where export earns more than import costs, stated as tightly as is linear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.scheduling.balance import Balance
from flexmeasures.domain.scheduling.exclusions import Choice
from flexmeasures.domain.scheduling.linear import Columns, FloatArray, LinearModel, Term
from flexmeasures.domain.scheduling.parts import Part

__all__ = ["split_by_choice"]


@dataclass(frozen=True)
class _Power:
    """A power that a device can have in some slots (k,): its terms, and its lowest and highest values [MW]."""

    name: str
    columns: Columns
    coefficients: FloatArray
    low: FloatArray
    high: FloatArray
    sign: float

    def terms(self, factor: FloatArray) -> Term:
        """Give the power times a factor for each slot (k,)."""
        return self.columns, self.coefficients * (factor if self.columns.ndim == 1 else factor[:, None])


def split_by_choice(
    model: LinearModel, balance: Balance, parts: Mapping[str, Part], choice: Choice, label: str
) -> None:
    """Tell the power that each device has while the site imports from that which it has while it exports.

    In a slot, import and the powers of the devices lie in the polytope of importing or in that of exporting. Bounds of
    import and export alone describe far more than the convex hull of the two. With the power of each device told apart
    the description is nearly the hull, so a relaxed answer is nearly right and few slots are left to branch on.

    Args:
        model: Receives the blocks.
        balance: Import and export.
        parts: The devices.
        choice: Whole numbers that are 1 where the site imports.
        label: Begins the name of each block.

    Source:
        E. Balas, "Disjunctive programming and a hierarchy of relaxations for discrete optimization problems", SIAM
        Journal on Algebraic and Discrete Methods 6 (1985), theorem 2.1.
    """
    slots, importing = choice.slots, choice.columns[0]
    fixed = sum((part.constant for part in parts.values()), np.zeros(balance.imported.size))[slots]
    imported: list[Term] = [(balance.imported[slots], -1.0), (importing, fixed)]
    for part in parts.values():
        powers = list(_powers(part, choice))
        shares = [_add_share(model, one, importing, f"{label}{one.name} while importing") for one in powers]
        imported += [(share, one.sign) for one, share in zip(powers, shares, strict=True)]
        if len(powers) > 1:
            _take_turns(model, powers, shares, importing, f"{label}{part.name}: one way")
    model.add_constraints(f"{label}import of devices", imported, lower=0.0, upper=0.0)


def _powers(part: Part, choice: Choice) -> Iterator[_Power]:
    """Give the power of a device in the slots of a choice; storage may have one for each direction."""
    slots = choice.slots
    low, high = part.lowest[slots], part.highest[slots]
    ways = [("power", low, high, 1.0)]
    if len(part.power) > 1:
        none = np.zeros(slots.size)
        ways = [
            ("charging", none, np.maximum(high, 0.0), 1.0),
            ("discharging", none, np.maximum(-low, 0.0), -1.0),
        ]
    for (way, lowest, highest, sign), (columns, coefficient) in zip(ways, part.power, strict=False):
        coefficients = np.abs(coefficient) if len(ways) > 1 else np.asarray(coefficient, dtype=float)
        spread = np.broadcast_to(coefficients, columns.shape)[slots]
        yield _Power(f"{part.name}: {way}", columns[slots], spread, lowest, highest, sign)


def _add_share(model: LinearModel, power: _Power, importing: Columns, name: str) -> Columns:
    """Add the part of a power that belongs to importing: its bounds times the choice; the rest has theirs times 1 − it.

    A power that cannot be other than 0 has none.
    """
    ones = np.ones(power.low.size)
    share = model.add_variables(
        name, ones.size, lower=np.minimum(power.low, 0.0), upper=np.maximum(power.high, 0.0)
    )
    rest = [power.terms(ones), (share, -1.0)]
    model.add_constraints(f"{name}, at most", [(share, 1.0), (importing, -power.high)], upper=0.0)
    model.add_constraints(f"{name}, the rest at most", [*rest, (importing, power.high)], upper=power.high)
    model.add_constraints(f"{name}, at least", [(share, 1.0), (importing, -power.low)], lower=0.0)
    model.add_constraints(f"{name}, the rest at least", [*rest, (importing, power.low)], lower=power.low)
    return share


def _take_turns(
    model: LinearModel, powers: list[_Power], shares: list[Columns], importing: Columns, name: str
) -> None:
    """Let the directions of a storage device share a slot in either mode."""
    factors = [np.divide(1.0, one.high, out=np.zeros(one.high.size), where=one.high > 0) for one in powers]
    used = [(share, factor) for share, factor in zip(shares, factors, strict=True)]
    all_used = [one.terms(factor) for one, factor in zip(powers, factors, strict=True)]
    left = [(share, -factor) for share, factor in used]
    model.add_constraints(f"{name} while importing", [*used, (importing, -1.0)], upper=0.0)
    model.add_constraints(f"{name} while exporting", [*all_used, *left, (importing, 1.0)], upper=1.0)
