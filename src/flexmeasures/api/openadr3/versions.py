"""Differences between the versions of OpenADR 3, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flexmeasures.api.openadr3 import shapes
from flexmeasures.domain.coordination.former import from_former, to_former
from flexmeasures.services.coordination.objects import Sent, Shown

__all__ = ["CURRENT", "FORMER", "VERSIONS", "Version"]


@dataclass(frozen=True)
class Version:
    """A version of OpenADR 3.

    Attributes:
        name: As in the path.
        shapes: What clients may send, by type of object; of VENs and resources those of 3.0.1 alone.
        is_former: Whether targets have types and programmes have fields instead of attributes.
    """

    name: str
    shapes: Mapping[str, type[Any]]
    is_former: bool

    def read(self, kind: str, body: dict[str, Any]) -> Sent:
        """Read what a client sends.

        Raises:
            InvalidInput: If it is not what the version allows.
        """
        content = shapes.check(self.shapes[kind], body)
        return Sent(*from_former(content, kind)) if self.is_former else Sent(content)

    def write(self, shown: Shown, program_id: str | None = None) -> dict[str, Any]:
        """Write what a client is shown."""
        return to_former(shown.document, shown.former, program_id) if self.is_former else shown.document


CURRENT = Version(
    "3.1.0",
    {
        "PROGRAM": shapes.Program,
        "EVENT": shapes.Event,
        "REPORT": shapes.Report,
        "SUBSCRIPTION": shapes.Subscription,
    },
    is_former=False,
)

FORMER = Version(
    "3.0.1",
    {
        "PROGRAM": shapes.FormerProgram,
        "EVENT": shapes.FormerEvent,
        "REPORT": shapes.FormerReport,
        "SUBSCRIPTION": shapes.FormerSubscription,
        "VEN": shapes.FormerVen,
        "RESOURCE": shapes.FormerResource,
    },
    is_former=True,
)

VERSIONS = (CURRENT, FORMER)
