"""France: the organiser's file of keys. Its form is a practitioner's, not confirmed by the operator's own guide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flexmeasures.domain.communities.allocation import Energies

__all__ = ["KeyFileForm", "keys_in_tenths", "write_key_file"]

_TENTHS = 1000


@dataclass(frozen=True)
class KeyFileForm:
    """Points of the file that are not confirmed.

    Attributes:
        separator: Between columns.
        time_format: Of the slot, after `datetime.strftime`.
        line_end: After each line.
    """

    separator: str = ";"
    time_format: str = "%d/%m/%Y %H:%M"
    line_end: str = "\r\n"


def keys_in_tenths(used: Energies, generation: Energies) -> Energies:
    """Express what members get as keys in tenths of a percent, cut down so that no line exceeds 100 %.

    Args:
        used: Shape ``(n_slots, n_members)``.
        generation: Shape ``(n_slots,)``.

    Returns:
        Shape ``(n_slots, n_members)``; zeros where nothing is generated.
    """
    divisor = generation.copy()
    divisor[divisor == 0] = 1
    keys: Energies = used * _TENTHS // divisor[:, None]
    return keys


def write_key_file(
    producer: str,
    members: Sequence[str],
    slots: Sequence[datetime],
    keys: Energies,
    form: KeyFileForm | None = None,
) -> tuple[str, bytes]:
    """Write one producer's keys: a line for each slot, percentages with one decimal and a decimal comma.

    Args:
        producer: Its delivery point (PRM).
        members: Their delivery points.
        slots: Local starts of the quarter-hours of a month.
        keys: Tenths of a percent, shape ``(n_slots, n_members)``.
        form: What is not confirmed.

    Returns:
        The file's name and its bytes.
    """
    form = form or KeyFileForm()
    lines = [form.separator.join(["Horodate", *members])]
    for slot, row in zip(slots, keys.tolist(), strict=True):
        cells = [f"{key // 10},{key % 10}" for key in row]
        lines.append(form.separator.join([slot.strftime(form.time_format), *cells]))
    return f"{producer}.csv", (form.line_end.join(lines) + form.line_end).encode("ascii")
