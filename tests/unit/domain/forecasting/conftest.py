"""Invented series with known behaviour."""

from datetime import timedelta

import numpy as np
import pytest

from flexmeasures.domain.forecasting import History

HOUR = timedelta(hours=1)


@pytest.fixture
def household():
    """Make hourly power with a daily shape, a weekly one and noise [kW], never negative."""

    def make(days=80, zone="Europe/Amsterdam", seed=1):
        hours = np.arange(days * 24)
        noise = np.random.default_rng(seed).gamma(2.0, 0.15, len(hours))
        shape = 1 + 0.8 * np.sin(2 * np.pi * (hours % 24 - 12) / 24)
        weekend = np.where((hours // 24) % 7 >= 5, 1.4, 1.0)
        return History(np.datetime64("2024-01-01", "us"), shape * weekend + noise, HOUR, zone)

    return make
