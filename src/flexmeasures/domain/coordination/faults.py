"""Faults of a message, each with the path of the field that it concerns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flexmeasures.domain.errors import InvalidInput

__all__ = ["Fault", "InvalidReport", "raise_faults"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a field breaks: the path of the field (as in ``payloads[0].resolution``) and a sentence."""

    path: str
    message: str


class InvalidReport(InvalidInput):
    """A report that cannot be taken; details hold ``errors``, messages by path."""

    code = "invalid-report"

    def __init__(self, faults: Sequence[Fault]) -> None:
        errors: dict[str, list[str]] = {}
        for fault in faults:
            errors.setdefault(fault.path, []).append(fault.message)
        super().__init__("; ".join(f"{f.path}: {f.message}" for f in faults[:3]), {"errors": errors})
        self.faults = tuple(faults)


def raise_faults(faults: Sequence[Fault]) -> None:
    """Refuse the message if there are any faults.

    Raises:
        InvalidReport: With all of them.
    """
    if faults:
        raise InvalidReport(faults)
