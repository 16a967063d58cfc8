"""A client of weather services that speak the JSON format of Open-Meteo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexmeasures.domain.errors import UpstreamFailure
from flexmeasures.services.forecasts.external_weather import QUANTITIES, HourlyForecast

__all__ = ["WeatherService"]

_HOUR = np.timedelta64(3_600_000_000, "us")
_MOST_BYTES = 8_000_000
_LOCATIONS_AT_ONCE = 50
_DAYS = 7


@dataclass(frozen=True)
class WeatherService:
    """A service at an address.

    Attributes:
        url: Where it is, such as ``https://api.open-meteo.com``.
        key: For customers; None: asked without one.
    """

    url: str
    key: str | None = None

    def forecast(self, places: Sequence[tuple[float, float]]) -> list[tuple[HourlyForecast, ...]]:
        """Ask for the next seven days at places, degrees north and east.

        Returns:
            The forecasts of each place, in their order.

        Raises:
            UpstreamFailure: If the service does not answer as it should.
        """
        found: list[tuple[HourlyForecast, ...]] = []
        for first in range(0, len(places), _LOCATIONS_AT_ONCE):
            some = places[first : first + _LOCATIONS_AT_ONCE]
            answer = self._ask(some)
            located = answer if isinstance(answer, list) else [answer]
            if len(located) != len(some):
                raise UpstreamFailure(
                    f"The weather service answered for {len(located)} places instead of {len(some)}."
                )
            found += [_read_place(one) for one in located]
        return found

    def _ask(self, places: Sequence[tuple[float, float]]) -> Any:
        import httpx  # noqa: PLC0415 - large, and needed by this command only

        query: dict[str, str | int] = {
            "latitude": ",".join(f"{latitude:.6f}" for latitude, _ in places),
            "longitude": ",".join(f"{longitude:.6f}" for _, longitude in places),
            "hourly": ",".join(one.name for one in QUANTITIES),
            "wind_speed_unit": "ms",
            "timeformat": "unixtime",
            "timezone": "GMT",
            "forecast_days": _DAYS,
        }
        if self.key is not None:
            query["apikey"] = self.key
        try:
            answer = httpx.get(f"{self.url.rstrip('/')}/v1/forecast", params=query, timeout=30.0)
            if answer.status_code != httpx.codes.OK:
                raise UpstreamFailure(
                    f"The weather service answered with status {answer.status_code}. Look at the settings "
                    "OPEN_METEO_URL and OPEN_METEO_API_KEY.",
                    retryable=answer.status_code >= 500 or answer.status_code == 429,
                )
            if len(answer.content) > _MOST_BYTES:
                raise UpstreamFailure("The answer of the weather service is too large.", retryable=False)
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            # The text of the error may hold the address with the key.
            raise UpstreamFailure(f"The weather service gave no answer: {type(error).__name__}.") from None


def _read_place(answer: Any) -> tuple[HourlyForecast, ...]:
    try:
        hourly: Mapping[str, Any] = answer["hourly"]
        seconds = np.asarray(hourly["time"], dtype=np.int64)
        starts = seconds.astype("datetime64[s]").astype("datetime64[us]")
        found = []
        for one in QUANTITIES:
            values = np.array([np.nan if v is None else v for v in hourly[one.name]], dtype=float)
            if values.shape != starts.shape:
                raise ValueError(one.name)
            known = int(np.argmax(np.isnan(values))) if np.isnan(values).any() else len(values)
            events: Any = starts - _HOUR if one.is_mean else starts
            found.append(HourlyForecast(one, events[:known], values[:known]))
        return tuple(found)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UpstreamFailure(
            f"The answer of the weather service cannot be read: {type(error).__name__} at {str(error)[:80]!r}.",
            retryable=False,
        ) from error
