"""The services: they receive, keep, check and answer messages. See `ShapeshifterService`."""

from shapeshifter_uftp.service.base import ANSWER_LATER, ShapeshifterService
from shapeshifter_uftp.service.core import Limits, Receiver
from shapeshifter_uftp.service.roles import (
    ShapeshifterAgrService,
    ShapeshifterCroService,
    ShapeshifterDsoService,
)

__all__ = [
    "ANSWER_LATER", "Limits", "Receiver", "ShapeshifterAgrService", "ShapeshifterCroService", "ShapeshifterDsoService",
    "ShapeshifterService",
]  # fmt: skip
