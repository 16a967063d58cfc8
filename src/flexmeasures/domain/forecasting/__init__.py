"""Forecasts from what was measured before: which horizons make sense, and models that cannot look ahead."""

from flexmeasures.domain.forecasting.horizons import SUPPORTED_HORIZONS, horizons_for, shortest_lag
from flexmeasures.domain.forecasting.naive import NAIVE, naive_forecast

__all__ = ["NAIVE", "SUPPORTED_HORIZONS", "horizons_for", "naive_forecast", "shortest_lag"]
