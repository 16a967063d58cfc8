"""Views by service."""

from __future__ import annotations

from flexmeasures.api.usef import data_views, device_views, listing_views
from flexmeasures.api.usef.call import View

__all__ = ["VIEWS"]

VIEWS: dict[str, View] = {
    "getService": listing_views.get_service,
    "getConnection": listing_views.get_connection,
    "getMeterData": data_views.get_meter_data,
    "postMeterData": data_views.post_meter_data,
    "getPrognosis": data_views.get_prognosis,
    "postPrognosis": data_views.post_prognosis,
    "postPriceData": data_views.post_price_data,
    "postWeatherData": data_views.post_weather_data,
    "postUdiEvent": device_views.post_udi_event,
    "getDeviceMessage": device_views.get_device_message,
}
