"""Country profiles: dated figures, each with its source and how certain it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from flexmeasures.domain.communities.methods import Method
from flexmeasures.domain.errors import InvalidInput, NotFound
from flexmeasures.domain.time import parse_duration

__all__ = [
    "Certainty",
    "CountryProfile",
    "Figure",
    "closing_day",
    "find_profile",
    "is_provisional",
    "list_profiles",
    "read_profile",
]

_FOLDER = Path(__file__).with_name("profiles")


class Certainty(StrEnum):
    """Certainty of a figure."""

    OFFICIAL = "official"
    """Read in the law, or in an authority's or operator's own text."""
    SECOND_HAND = "second-hand"
    """Somebody else's reading of it."""
    UNVERIFIED = "unverified"
    """Background knowledge; confirm it before anybody is billed by it."""
    CHOICE = "choice"
    """No rule was found; our choice, which a community may change."""
    UNKNOWN = "unknown"
    """Looked for and not found; the value is empty."""


@dataclass(frozen=True)
class Figure:
    """A figure of a country.

    Attributes:
        value: A text, number, list or mapping; None where it is unknown.
        source: Where it was read.
        certainty: How sure it is.
        since: First day on which it holds; None: always.
        until: Last day; None: for good.
        note: What else is to be known.
    """

    value: Any
    source: str
    certainty: Certainty
    since: date | None = None
    until: date | None = None
    note: str = ""

    def holds_on(self, day: date) -> bool:
        """Tell whether the figure holds on a day."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)

    @property
    def is_certain(self) -> bool:
        """Tell whether it was read in an official text; elsewhere whoever is shown it should be told."""
        return self.certainty is Certainty.OFFICIAL


@dataclass(frozen=True)
class CountryProfile:
    """Rules of energy sharing of a country, region or legal form.

    Attributes:
        id: Short name, such as es or ch-leg.
        name: For people.
        country: ISO 3166 code.
        timezone: Whose days and hours count.
        stated: Day on which the figures were looked up.
        figures: By name, the earliest first.
    """

    id: str
    name: str
    country: str
    timezone: str
    stated: date
    figures: Mapping[str, tuple[Figure, ...]]

    def figure(self, name: str, day: date) -> Figure:
        """Get what holds on a day.

        Raises:
            NotFound: If the profile says nothing about it.
        """
        for one in self.figures.get(name, ()):
            if one.holds_on(day):
                return one
        raise NotFound(f"The profile {self.id} says nothing about {name} on {day}.")

    def value(self, name: str, day: date, default: Any = None) -> Any:
        """Get the value that holds on a day; a default where the profile says nothing or does not know."""
        try:
            found = self.figure(name, day).value
        except NotFound:
            return default
        return default if found is None else found

    def settlement_interval(self, day: date) -> timedelta:
        """Tell how long a settlement interval is."""
        interval = parse_duration(self.value("settlement_interval", day, "PT1H"), "settlement_interval")
        if not isinstance(interval, timedelta):
            raise InvalidInput(f"The settlement interval of {self.id} must have a fixed length.")
        return interval

    def methods(self, day: date) -> tuple[Method, ...]:
        """List the sharing methods that may be chosen, the usual one first."""
        return tuple(Method(name) for name in self.value("methods", day, ()))

    def check_method(self, method: Method, day: date) -> None:
        """Check that a sharing method is allowed.

        Raises:
            InvalidInput: If not.
        """
        allowed = self.methods(day)
        if allowed and method not in allowed:
            raise InvalidInput(
                f"Sharing by the method {method} is not provided for in {self.name} on {day}. "
                f"Choose one of {', '.join(allowed)}."
            )


def closing_day(day: date, rule: Mapping[str, Any] | None) -> date:
    """Find the day on which values of a day become final.

    Args:
        day: Of the values.
        rule: ``months`` after the month of the day, and ``day`` of that month (its last one if left out). None: the end
            of the next month.
    """
    months = int((rule or {}).get("months", 1))
    index = day.year * 12 + day.month - 1 + months
    first_after = date(index // 12 + (index % 12 == 11), (index + 1) % 12 + 1, 1)
    last = first_after - timedelta(days=1)
    wanted = (rule or {}).get("day")
    return last if wanted is None else last.replace(day=min(int(wanted), last.day))


def is_provisional(last_day: date, today: date, rule: Mapping[str, Any] | None) -> bool:
    """Tell whether values up to a day may still be corrected by the grid operator."""
    return today <= closing_day(last_day, rule)


@lru_cache(maxsize=64)
def find_profile(profile_id: str, folder: Path = _FOLDER) -> CountryProfile:
    """Load a profile.

    Raises:
        NotFound: If there is none.
    """
    for path in sorted(folder.glob("*.yaml")):
        if path.stem == profile_id:
            return read_profile(path.stem, path.read_text(encoding="utf-8"))
    known = ", ".join(list_profiles(folder))
    raise NotFound(f"There is no country profile {profile_id[:40]!r}. Choose one of {known}.")


def list_profiles(folder: Path = _FOLDER) -> list[str]:
    """List the ids of all profiles."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_profile(profile_id: str, text: str) -> CountryProfile:
    """Read a profile from YAML.

    Raises:
        InvalidInput: If a figure lacks its source or certainty, or two of the same name hold on the same day.
    """
    content = yaml.safe_load(text)
    figures = {
        name: tuple(_figure(profile_id, name, each) for each in entries)
        for name, entries in content["figures"].items()
    }
    for name, entries in figures.items():
        _check_dates(profile_id, name, entries)
    return CountryProfile(
        profile_id, content["name"], content["country"], content["timezone"], content["stated"], figures
    )


def _figure(profile_id: str, name: str, entry: Mapping[str, Any]) -> Figure:
    where = f"Profile {profile_id}, figure {name}"
    if not isinstance(entry, Mapping) or not {"value", "source", "certainty"} <= entry.keys():
        raise InvalidInput(f"{where}: write value, source and certainty.")
    try:
        certainty = Certainty(entry["certainty"])
    except ValueError:
        raise InvalidInput(
            f"{where}: certainty {entry['certainty']!r} is not one of {', '.join(Certainty)}."
        ) from None
    if (entry["value"] is None) != (certainty is Certainty.UNKNOWN):
        raise InvalidInput(f"{where}: what is unknown has no value, and what has a value is not unknown.")
    return Figure(
        entry["value"],
        entry["source"],
        certainty,
        entry.get("from"),
        entry.get("until"),
        entry.get("note", ""),
    )


def _check_dates(profile_id: str, name: str, entries: tuple[Figure, ...]) -> None:
    for earlier, later in pairwise(entries):
        if earlier.until is None or later.since is None or later.since <= earlier.until:
            raise InvalidInput(f"Profile {profile_id}, figure {name}: two entries hold on the same day.")
