"""Forecasts from what was measured before: which horizons make sense, and models that cannot look ahead.

Pure arrays. Models that need heavy libraries are named in `models` and imported when they are used.
"""

from flexmeasures.domain.forecasting.accuracy import Accuracy, measure_accuracy
from flexmeasures.domain.forecasting.borrowing import Borrowed, borrow_history
from flexmeasures.domain.forecasting.calibration import QUANTILES, Scores
from flexmeasures.domain.forecasting.case import Case, Facts
from flexmeasures.domain.forecasting.cleaning import clean
from flexmeasures.domain.forecasting.features import Regressor
from flexmeasures.domain.forecasting.history import History, HorizonView, LookAhead
from flexmeasures.domain.forecasting.horizons import (
    SUPPORTED_HORIZONS,
    check_horizon,
    horizons_for,
    shortest_lag,
)
from flexmeasures.domain.forecasting.known import known_measurements, net_of_parts
from flexmeasures.domain.forecasting.learned import Learned, Prediction
from flexmeasures.domain.forecasting.models import (
    DEFAULT_MODEL,
    Model,
    find_model,
    model_names,
    register_model,
)
from flexmeasures.domain.forecasting.rolling import Fit, Forecast, forecast_events
from flexmeasures.domain.forecasting.traits import Traits

__all__ = [
    "DEFAULT_MODEL",
    "QUANTILES",
    "SUPPORTED_HORIZONS",
    "Accuracy",
    "Borrowed",
    "Case",
    "Facts",
    "Fit",
    "Forecast",
    "History",
    "HorizonView",
    "Learned",
    "LookAhead",
    "Model",
    "Prediction",
    "Regressor",
    "Scores",
    "Traits",
    "borrow_history",
    "check_horizon",
    "clean",
    "find_model",
    "forecast_events",
    "horizons_for",
    "known_measurements",
    "measure_accuracy",
    "model_names",
    "net_of_parts",
    "register_model",
    "shortest_lag",
]
