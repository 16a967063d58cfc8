"""Faults of the fields of a form, collected so that all of them can be told at once."""

from __future__ import annotations

from datetime import timedelta

from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.names import name_fault
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import find_zone
from flexmeasures.domain.units import is_unit

__all__ = ["Checks", "FieldErrors"]


DOCUMENTED_UNITS = ("0C",)
"""Degrees Celsius without the sign for degrees."""


class FieldErrors(InvalidInput):
    """Some fields of a form are wrong.

    Args:
        errors: What is wrong, by field.
    """

    code = "bad-fields"

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in errors.items()), errors)
        self.errors = errors


class Checks:
    """Collects what is wrong with the fields of a form, so that all of it can be told at once."""

    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}

    def that(self, holds: object, field: str, text: str) -> None:
        """Note a text about a field, unless a rule holds."""
        if not holds:
            self.errors.setdefault(field, []).append(text)

    def text(self, field: str, text: str, longest: int) -> None:
        """Check that a text can be a name, see `domain.names`."""
        fault = name_fault(text, longest)
        self.that(not fault, field, fault)

    def unit(self, unit: str) -> None:
        """Check a unit; also those spellings of the documentation that are none elsewhere."""
        self.that(
            unit in DOCUMENTED_UNITS or is_unit(unit),
            "unit",
            f"Unit {quote(unit)} is unknown. Use one like MW, kWh, EUR/MWh or °C.",
        )

    def zone(self, name: str) -> None:
        """Check a time zone."""
        try:
            find_zone(name)
        except InvalidInput as error:
            self.errors.setdefault("timezone", []).append(str(error))

    def place(self, latitude: float, longitude: float) -> None:
        """Check a place [degrees]."""
        self.that(-90 <= latitude <= 90, "latitude", "Latitude must be between -90 and 90 degrees.")
        self.that(-180 <= longitude <= 180, "longitude", "Longitude must be between -180 and 180 degrees.")

    def resolution(self, resolution: timedelta) -> None:
        """Check the length of events."""
        self.that(resolution > timedelta(0), "event_resolution", "Event resolution must be longer than zero.")

    def done(self) -> None:
        """End the checks.

        Raises:
            FieldErrors: If anything is wrong.
        """
        if self.errors:
            raise FieldErrors(self.errors)
