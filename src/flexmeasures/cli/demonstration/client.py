"""A client of the API as anybody may write one: a token, messages in JSON, and patience for a schedule."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click
import httpx
import numpy as np

from flexmeasures.cli.demonstration.site import Device, Values

__all__ = ["Client"]

PATIENCE = 30.0
"""Time limit of a schedule [s]; it takes a fraction of a second."""


class Client:
    """Talks to API v2_0 as one user.

    Args:
        address: Of the server, such as ``http://localhost:5000``.
    """

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, timeout=20.0, trust_env=False)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def is_answering(self) -> bool:
        """Tell whether the server is up."""
        try:
            return self._http.get("/api/").is_success
        except httpx.TransportError:
            return False

    def log_in(self, email: str, password: str) -> None:
        """Get a token, and send it with everything from now on."""
        answer = self._checked(
            self._http.post("/api/requestAuthToken", json={"email": email, "password": password})
        )
        self._http.headers["Authorization"] = answer["auth_token"]

    def connections(self) -> dict[str, str]:
        """List the entity addresses of the user's assets by name."""
        answer = self._get("getConnection", type="GetConnectionRequest")
        return dict(zip(answer["names"], answer["connections"], strict=True))

    def post_prices(self, market: str, start: datetime, prices: Values, prior: datetime) -> None:
        """Send the hourly prices [EUR/MWh] of a day, as they were published."""
        self._post(
            "postPriceData",
            market=market,
            values=prices.tolist(),
            start=start.isoformat(),
            duration=f"PT{len(prices)}H",
            prior=prior.isoformat(),
            unit="EUR/MWh",
        )

    def post_power(self, start: datetime, power: dict[str, Values]) -> None:
        """Send measured power [MW] by entity address, in quarter hours."""
        count = len(next(iter(power.values())))
        self._post(
            "postMeterData",
            groups=[{"connection": name, "values": values.tolist()} for name, values in power.items()],
            start=start.isoformat(),
            duration=f"PT{count * 15}M",
            horizon="PT0H",
            unit="MW",
        )

    def post_forecast(self, start: datetime, power: dict[str, Values], prior: datetime) -> None:
        """Send expected power [MW] by entity address, in quarter hours, as it was known at an instant."""
        count = len(next(iter(power.values())))
        self._post(
            "postPrognosis",
            groups=[{"connection": name, "values": values.tolist()} for name, values in power.items()],
            start=start.isoformat(),
            duration=f"PT{count * 15}M",
            prior=prior.isoformat(),
            unit="MW",
        )

    def read_power(self, connection: str, start: datetime, hours: int) -> Values:
        """Read measured power [MW], in quarter hours."""
        answer = self._get(
            "getMeterData",
            type="GetMeterDataRequest",
            connection=connection,
            start=start.isoformat(),
            duration=f"PT{hours}H",
            unit="MW",
        )
        return np.array(answer["values"])

    def send_state(self, event: str, device: Device) -> None:
        """Send a device's state of charge, and what it must be later."""
        message: dict[str, Any] = {
            "event": event,
            "value": device.soc_kwh,
            "unit": "kWh",
            "datetime": device.at,
        }
        if device.target:
            message["targets"] = [{"value": device.target[0], "datetime": device.target[1]}]
        self._post("postUdiEvent", **message)

    def await_schedule(self, event: str, duration: str) -> tuple[datetime, Values, str]:
        """Wait until a worker has made a schedule.

        Returns:
            Its start, its power [MW] in quarter hours, and the message that came with it.
        """
        deadline = time.monotonic() + PATIENCE
        query = {"type": "GetDeviceMessageRequest", "event": event, "duration": duration}
        while True:
            answer = self._http.get("/api/v2_0/getDeviceMessage", params=query)
            body = answer.json()
            pending = body.get("status") == "UNKNOWN_SCHEDULE" and "The job" in body["message"]
            if not pending or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        body = self._checked(answer)
        return datetime.fromisoformat(body["start"]), np.array(body["values"]), body["message"]

    def _get(self, service: str, **query: str) -> Any:
        return self._checked(self._http.get(f"/api/v2_0/{service}", params=query))

    def _post(self, service: str, **message: Any) -> Any:
        kind = f"{service[0].upper()}{service[1:]}Request"
        return self._checked(self._http.post(f"/api/v2_0/{service}", json={"type": kind, **message}))

    @staticmethod
    def _checked(answer: httpx.Response) -> Any:
        if answer.is_success:
            return answer.json()
        raise click.ClickException(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
