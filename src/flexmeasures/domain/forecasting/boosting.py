"""Gradient-boosted trees. LightGBM is heavy, so only who fits or uses such a model imports this module."""

from __future__ import annotations

import lightgbm
import numpy as np

from flexmeasures.domain.forecasting.history import Values

__all__ = ["boost", "dump_trees", "load_trees", "predict_trees"]

_PARAMETERS = {
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "seed": 1,
    "learning_rate": 0.06,
    "num_leaves": 20,
    "min_data_in_leaf": 20,
    "max_bin": 63,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.6,
}
_ROUNDS = 150


def boost(
    features: Values, values: Values, quantile: float | None = None, rounds: int = _ROUNDS
) -> lightgbm.Booster:
    """Fit trees to the median, or to another quantile.

    Args:
        features: Shape ``(m, k)``; missing values are learned from, too.
        values: Shape ``(m,)``.
        quantile: 0 … 1; None: the median, by absolute errors.
        rounds: Number of trees.
    """
    objective = {"objective": "l1"} if quantile is None else {"objective": "quantile", "alpha": quantile}
    return lightgbm.train(_PARAMETERS | objective, lightgbm.Dataset(features, values), rounds)


def predict_trees(trees: lightgbm.Booster, features: Values) -> Values:
    """Forecast: features of shape ``(m, k)`` give ``(m,)``."""
    forecast: Values = np.asarray(trees.predict(features, num_threads=1))
    return forecast


def dump_trees(trees: lightgbm.Booster) -> str:
    """Write trees as text."""
    return str(trees.model_to_string(importance_type="split"))


def load_trees(text: str) -> lightgbm.Booster:
    """Read what `dump_trees` wrote."""
    return lightgbm.Booster(model_str=text)
