"""Targets of OpenADR 3.1: who sees an object that is meant for some.

Source: OpenADR 3.1.0 definition, sections on targets and target hiding.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["is_visible", "shown_targets"]


def is_visible(targets: Sequence[str] | None, granted: Collection[str], asked: Collection[str] = ()) -> bool:
    """Tell whether a client sees an object.

    Args:
        targets: Those of the object; none: it is meant for everybody.
        granted: Targets that the business logic gave the client through its VEN or resources.
        asked: Targets that the object must all have; those that were not granted are ignored, and if none of them was,
            nothing is found.
    """
    if not asked:
        return not targets or not set(granted).isdisjoint(targets)
    wanted = set(granted) & set(asked)
    return bool(wanted) and wanted.issubset(targets or ())


def shown_targets(targets: Sequence[str], granted: Collection[str]) -> list[str]:
    """Keep the targets that a client may see, in their order.

    >>> shown_targets(["feeder-7", "feeder-8"], {"feeder-8"})
    ['feeder-8']
    """
    return [target for target in targets if target in granted]
