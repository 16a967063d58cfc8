"""Examples of messages, after those of the FlexMeasures 0.4 documentation. Each of them is sent by a test.

In the addresses, user 1 owns battery 1, the charging stations 2 and 3, the solar roof 4 and the building 5: the cast of
`flexmeasures.testing.make_cast`, whose ids the test fills in.
"""

from __future__ import annotations

from typing import Any

from flexmeasures.api.usef.versions import Version

__all__ = ["bodies", "query"]

Message = dict[str, Any]

_HOST = "ea1.2018-06.io.flexmeasures.company"
_BATTERY, _STATION, _TWO_WAY, _SOLAR, _BUILDING = (f"{_HOST}:1:{number}" for number in range(1, 6))

_PRICES = [
    *(52.37, 51.14, 49.09, 48.35, 48.47, 49.98, 58.7, 67.76, 69.21, 70.26, 70.46, 70),
    *(70.7, 70.41, 70, 64.53, 65.92, 69.72, 70.51, 75.49, 70.35, 70.01, 66.98, 58.61),
]


def bodies(version: Version, service: str) -> dict[str, Message]:
    """List messages that a service takes as bodies in a version, by what they show."""
    make = {
        "getMeterData": lambda _: {"An hour and a half of one asset": _reading("GetMeterDataRequest")},
        "postMeterData": _meter_data,
        "postPrognosis": _prognoses,
        "postPriceData": _prices,
        "postWeatherData": _weather,
        "postUdiEvent": _events,
    }.get(service)
    return make(version) if make else {}


def query(version: Version, service: str) -> Message:
    """Write a message that a service takes as a query in a version."""
    if service == "getMeterData":
        return _reading("GetMeterDataRequest")
    if service == "getPrognosis":
        return {**_reading("GetPrognosisRequest"), "horizon": "PT6H", "resolution": "PT15M"}
    if service == "getDeviceMessage":
        return {"type": "GetDeviceMessageRequest", "event": f"{_BATTERY}:203:soc"}
    return {}


def _reading(kind: str) -> Message:
    return {
        "type": kind,
        "connection": _STATION,
        "start": "2021-01-01T00:00:00Z",
        "duration": "PT1H30M",
        "unit": "MW",
    }


def _recorded(version: Version, prior: str, horizon: str) -> Message:
    """Say when data were recorded: at an instant since version 2.0, and before that relative to their end."""
    return {"prior": prior} if version.takes_prior else {"horizon": horizon}


def _meter_data(_: Version) -> dict[str, Message]:
    head = {"type": "PostMeterDataRequest", "unit": "MW"}
    late = {"horizon": "-PT5M"}
    return {
        "One value, one connection, recorded 5 minutes after the fact": {
            **head,
            "connection": _STATION,
            "value": 220,
            "start": "2015-01-01T00:00:00+00:00",
            "duration": "PT0H15M",
            **late,
        },
        "Several values, one connection": {
            **head,
            "connection": _STATION,
            "values": [220, 210, 200],
            "start": "2015-01-01T01:00:00+00:00",
            "duration": "PT0H45M",
            **late,
        },
        "One value for each of two connections": {
            **head,
            "connections": [_STATION, _TWO_WAY],
            "value": 10,
            "start": "2015-01-01T02:00:00+00:00",
            "duration": "PT0H15M",
            **late,
        },
        "Groups with values of their own": {
            **head,
            "groups": [
                {"connections": [_STATION, _BUILDING], "values": [306.66, 306.66, 0, 0, 306.66, 306.66]},
                {"connection": _TWO_WAY, "values": [306.66, 0, 0, 0, 306.66, 306.66]},
            ],
            "start": "2021-01-01T00:00:00Z",
            "duration": "PT1H30M",
        },
        "Half hours, which are stored as quarter hours": {
            **head,
            "connection": _SOLAR,
            "values": [-1.5, -1.25],
            "start": "2021-01-01T10:00:00Z",
            "duration": "PT1H",
        },
    }


def _prognoses(version: Version) -> dict[str, Message]:
    return {
        "Made at one instant": {
            "type": "PostPrognosisRequest",
            "groups": [
                {"connections": [_STATION, _TWO_WAY], "values": [300, 300, 300, 0, 0, 300]},
                {"connections": [_BUILDING], "values": [300, 0, 0, 0, 300, 300]},
            ],
            "start": "2021-01-01T00:00:00Z",
            "duration": "PT1H30M",
            **_recorded(version, "2020-12-31T18:00:00Z", "PT7H30M"),
            "unit": "MW",
        },
        "Each value made 6 hours before": {
            "type": "PostPrognosisRequest",
            "connection": _BATTERY,
            "values": [10, 5, 8],
            "start": "2016-05-01T13:00:00Z",
            "duration": "PT45M",
            "horizon": "PT6H" if version.rolling_horizons else "R/PT6H",
            "unit": "MW",
        },
    }


def _prices(version: Version) -> dict[str, Message]:
    return {
        "A day ahead": {
            "type": "PostPriceDataRequest",
            "market": "ea1.2018-06.localhost:epex_da",
            "values": _PRICES,
            "start": "2021-01-01T00:00:00+01:00",
            "duration": "PT24H",
            **_recorded(version, "2020-12-31T13:00:00+01:00", "PT35H"),
            "unit": "EUR/MWh",
        }
    }


def _weather(version: Version) -> dict[str, Message]:
    sensor = f"{_HOST}:temperature:33.4843866:126.477859"
    return {
        "Forecasts made at noon": {
            "type": "PostWeatherDataRequest",
            "groups": [{"sensor": sensor, "values": [20.04, 20.23, 20.41, 20.51, 20.55, 20.57]}],
            "start": "2021-01-01T15:00:00+09:00",
            "duration": "PT1H30M",
            **_recorded(version, "2021-01-01T12:00:00+09:00", "PT4H30M"),
            "unit": "°C",
        }
    }


def _events(version: Version) -> dict[str, Message]:
    state = {
        "type": "PostUdiEventRequest",
        "value": 12.1,
        "unit": "kWh",
        "datetime": "2015-01-02T10:00:00+00:00",
    }
    events = {"A state of charge": {**state, "event": f"{_BATTERY}:203:soc"}}
    if version.plans_in_jobs:
        events["A state of charge, and another one wanted later"] = {
            **state,
            "event": f"{_STATION}:204:soc-with-targets",
            "targets": [{"value": 25, "datetime": "2015-01-02T16:00:00+00:00"}],
        }
    return events
