"""Sharing the profit of activations between the owner of an asset and its aggregator (or energy service company)."""

from __future__ import annotations

from dataclasses import dataclass

from flexmeasures.domain.errors import BadValues

__all__ = ["Contract", "Shares", "share_profit"]


@dataclass(frozen=True)
class Contract:
    """Terms by which profit is shared.

    Args:
        owner_share: Share of the profit that the owner receives, 0 … 1.
        fee_per_activation: What the owner pays for each activation [currency].
        fee_per_hour: What the owner pays for the service as time passes [currency/h].
        owner_bears_losses: Whether the owner has the same share of a loss; else the aggregator bears it alone.

    Raises:
        BadValues: A share lies outside 0 … 1, or a fee is negative.
    """

    owner_share: float = 1.0
    fee_per_activation: float = 0.0
    fee_per_hour: float = 0.0
    owner_bears_losses: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.owner_share <= 1:
            raise BadValues(f"The owner's share is {self.owner_share}: give a number from 0 to 1.")
        if not (self.fee_per_activation >= 0 and self.fee_per_hour >= 0):
            raise BadValues("Fees of a contract must be 0 or more.")


@dataclass(frozen=True)
class Shares:
    """Shares of a profit [currency]; they add up to it."""

    owner: float
    aggregator: float


def share_profit(contract: Contract, profit: float, *, activations: int = 1, hours: float = 0.0) -> Shares:
    """Share a profit by the rules of a contract.

    Args:
        contract: The rules.
        profit: What the activations earned or saved in all [currency]; negative for a loss.
        activations: How many there were.
        hours: How long the service lasted [h].

    Invariants:
        Owner and aggregator together receive the profit, no more and no less.

    >>> share_profit(Contract(0.5, fee_per_activation=2.0, fee_per_hour=0.1), 100.0, activations=3, hours=24)
    Shares(owner=41.6, aggregator=58.4)
    """
    owner = contract.owner_share * profit if profit >= 0 or contract.owner_bears_losses else 0.0
    owner -= contract.fee_per_activation * activations + contract.fee_per_hour * hours
    return Shares(owner, profit - owner)
