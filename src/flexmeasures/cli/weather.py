"""``flexmeasures add external-weather-forecasts``: ask a weather service, and store what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from flexmeasures.connectors.weather import WeatherService
from flexmeasures.data.database import db
from flexmeasures.data.transactional import task_with_status_report
from flexmeasures.services.forecasts.external_weather import HourlyForecast, grid_of_places, store_weather

__all__ = ["add_external_weather_forecasts"]

Place = tuple[float, float]


class _Location(click.ParamType[Any]):
    """One place as "latitude,longitude", or the corners of a rectangle, parted by a colon."""

    name = "LAT,LNG[:LAT,LNG]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        try:
            corners = [tuple(float(part) for part in corner.split(",")) for corner in str(value).split(":")]
        except ValueError:
            corners = []
        fits = all(len(c) == 2 and -90 <= c[0] <= 90 and -180 <= c[1] <= 180 for c in corners)
        if not fits or len(corners) not in (1, 2):
            self.fail(
                f'{value!r} is not a location. Write "latitude,longitude", or the top left and the bottom right corner '
                'of a rectangle: "lat,lng:lat,lng".',
                param,
                ctx,
            )
        return corners


@click.command("external-weather-forecasts")
@click.option(
    "--location",
    "corners",
    type=_Location(),
    required=True,
    help='Where: "latitude,longitude", or the top left and bottom right corner of a rectangle, parted by a colon.',
)
@click.option("--region", default="", help="Name of the folder for files.")
@click.option(
    "--num_cells", "cells", type=int, default=1, show_default=True, help="How many cells cover a rectangle."
)
@click.option(
    "--method",
    type=click.Choice(["hex", "square"]),
    default="hex",
    show_default=True,
    help="Whether the centres of the cells are asked for as well as their corners (hex).",
)
@click.option(
    "--store-in-db/--store-as-json-files",
    "in_database",
    default=False,
    show_default=True,
    help="Store forecasts as beliefs of the nearest weather sensors, or write a file for each place.",
)
@with_appcontext
def add_external_weather_forecasts(
    corners: list[Place], region: str, cells: int, method: str, in_database: bool
) -> None:
    """Collect weather forecasts of the next seven days from a service with the format of Open-Meteo.

    Its address and key are settings, OPEN_METEO_URL and OPEN_METEO_API_KEY.
    """
    places = corners
    if len(corners) == 2:
        places = grid_of_places(corners[0], corners[1], cells, centres=method == "hex")
    config = current_app.config
    service = WeatherService(config["OPEN_METEO_URL"], config["OPEN_METEO_API_KEY"])

    @task_with_status_report
    def get_weather_forecasts() -> str:
        now = datetime.now(UTC)
        forecasts = service.forecast(places)
        if in_database:
            return f"{store_weather(db.session(), places, forecasts, now)} weather forecasts were stored"
        return f"{_write_files(places, forecasts, region, now)} files were written"

    get_weather_forecasts()


def _write_files(
    places: list[Place], forecasts: list[tuple[HourlyForecast, ...]], region: str, now: datetime
) -> int:
    """Write a file for each place, in a folder named by the time."""
    folder = Path("raw_data", "weather-forecasts", Path(region).name, f"{now:%Y-%m-%dT%H-%M-%S}")
    folder.mkdir(parents=True, exist_ok=True)
    for (latitude, longitude), found in zip(places, forecasts, strict=True):
        content = {
            one.quantity.sensor_type: {
                "unit": one.quantity.unit,
                "event_starts": [f"{start}Z" for start in one.event_starts.astype("datetime64[s]")],
                "values": one.values.tolist(),
            }
            for one in found
        }
        name = f"forecast_lat_{latitude:g}_lng_{longitude:g}.json"
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    return len(places)
