"""Gradient-boosted trees. LightGBM is heavy, so only who fits or uses such a model imports this module."""

from __future__ import annotations

import lightgbm
import numpy as np

from flexmeasures.domain.forecasting.history import Values

__all__ = ["BOOSTING_ROUNDS", "BinnedRows", "dump_trees", "load_trees", "predict_trees"]

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
BOOSTING_ROUNDS = 150


class BinnedRows:
    """Rows of features, sorted into bins once for all trees that learn from them.

    Args:
        features: Shape ``(m, k)``; missing values are learned from, too.
    """

    def __init__(self, features: Values) -> None:
        self._rows = lightgbm.Dataset(features, params=_PARAMETERS, free_raw_data=False).construct()

    def boost(
        self, values: Values, quantile: float | None = None, rounds: int = BOOSTING_ROUNDS
    ) -> lightgbm.Booster:
        """Fit trees to the median, or to another quantile.

        Args:
            values: Shape ``(m,)``.
            quantile: 0 … 1; None: the median, by absolute errors.
            rounds: Number of trees.
        """
        objective = {"objective": "l1"} if quantile is None else {"objective": "quantile", "alpha": quantile}
        return lightgbm.train(_PARAMETERS | objective, self._rows.set_label(values), rounds)


def predict_trees(trees: lightgbm.Booster, features: Values, rounds: int | None = None) -> Values:
    """Forecast: features of shape ``(m, k)`` give ``(m,)``.

    Args:
        trees: Fitted.
        features: Shape ``(m, k)``.
        rounds: Of the first so many trees; None: of all.
    """
    forecast: Values = np.asarray(trees.predict(features, num_iteration=rounds, num_threads=1))
    return forecast


def dump_trees(trees: lightgbm.Booster) -> str:
    """Write trees as text."""
    return str(trees.model_to_string(importance_type="split"))


def load_trees(text: str) -> lightgbm.Booster:
    """Read what `dump_trees` wrote."""
    return lightgbm.Booster(model_str=text)
