"""Use cases of forecasts: ordering and making them, a batch of them, and how accurate they were.

No models here: those are in `domain.forecasting`.
"""
