"""The worked example of the specification, which several tests use."""

from __future__ import annotations

import numpy as np

from flexmeasures.domain.communities.allocation import Energies, to_units

GENERATION = to_units(np.array([[0.0], [2.0], [6.0], [4.0]]))
CONSUMPTION = to_units(np.array([[0.4, 0.3, 0.1], [0.6, 0.2, 0.1], [1.0, 0.5, 3.0], [2.5, 0.9, 0.4]]))
FIXED = np.array([500_000, 300_000, 200_000])
HOURLY = np.array([[5, 3, 2], [6, 2, 2], [2, 1, 7], [7, 2, 1]]) * 100_000


def kwh_of(energies: Energies, units_per_kwh: int = 10**6) -> list[float]:
    """Give energies in kWh, in one list."""
    return (energies / units_per_kwh).ravel().tolist()


def cups(number: int) -> str:
    """Make up a supply point with right check letters, by the published rule."""
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    digits = f"{31 * 10**14 + number:016d}"
    quotient, remainder = divmod(int(digits) % 529, 23)
    return f"ES{digits}{letters[quotient]}{letters[remainder]}0F"
