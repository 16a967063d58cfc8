"""The models by name. Heavy libraries are imported when a model that needs them is fitted or loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.domain.forecasting.case import Case, Truths
from flexmeasures.domain.forecasting.learned import Learned
from flexmeasures.domain.quoting import quote

__all__ = ["DEFAULT_MODEL", "Model", "find_model", "model_names", "register_model"]

Fit = Callable[[Case, Truths, int], Learned]
Load = Callable[[bytes], Learned]

DEFAULT_MODEL = "ensemble"
"""The one that forecast best; see the report on accuracy."""


@dataclass(frozen=True)
class Model:
    """A model and how it is used.

    Attributes:
        name: Its name, in settings, commands and data sources.
        version: Its version; kept fits of other versions are not used.
        source: Name of its data source.
        fit: From a case, the events known, and the position of the first event to forecast, to what was learned.
        load: Reads what was learned and dumped; None: it is not kept.
        fallback: Name of the model that is used where this one has not enough data; None: the forecast fails.
        look_back: How much history it learns from at most.
        refit_after: How old a fit may be, by what it was fitted on.
        uses_weather: Whether regressors are read for it.
        borrows: Whether short histories are extended by those of similar sensors.
    """

    name: str
    version: str
    source: str
    fit: Fit
    load: Load | None = None
    fallback: str | None = "naive"
    look_back: timedelta = timedelta(days=30)
    refit_after: timedelta = timedelta(days=7)
    uses_weather: bool = True
    borrows: bool = False


def _lazily(module: str, function: str) -> Callable[..., Any]:
    """Give a function of a module that is imported when the function is called."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"flexmeasures.domain.forecasting.{module}"), function)(*arguments)

    return call


_OWN = "FlexMeasures"
_MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "ensemble",
            "2",
            _OWN,
            _lazily("ensemble", "fit_ensemble"),
            _lazily("ensemble", "load_ensemble"),
            fallback="recent-days",
            look_back=timedelta(days=730),
            refit_after=timedelta(days=28),
            borrows=True,
        ),
        Model(
            "recent-days",
            "1",
            _OWN,
            _lazily("recent", "fit_recent_days"),
            _lazily("recent", "load_recent_days"),
            look_back=timedelta(days=35),
            refit_after=timedelta(days=1),
            uses_weather=False,
        ),
        Model(
            "linear-OLS",
            "2",
            "Seita (linear-OLS model v2)",
            _lazily("linear", "fit_linear"),
            _lazily("linear", "load_linear"),
            look_back=timedelta(days=40),
        ),
        Model(
            "naive",
            "1",
            "Seita (naive model v1)",
            _lazily("naive", "fit_naive"),
            fallback=None,
            refit_after=timedelta(days=1),
            uses_weather=False,
        ),
    )
}
_SYNONYMS = {"linear": "linear-ols"}


def model_names() -> list[str]:
    """List the names of the models, those of plugins included."""
    return sorted(_MODELS)


def find_model(name: str) -> Model:
    """Find a model by name, in any case.

    Raises:
        NotFound: If there is none; names those that exist.
    """
    wanted = _SYNONYMS.get(name.lower(), name.lower())
    for model in _MODELS.values():
        if model.name.lower() == wanted:
            return model
    raise NotFound(
        f"No model found for search term {quote(name)}. Use one of {', '.join(model_names())}, or a plugin's."
    )


def register_model(model: Model) -> None:
    """Add a model, for plugins.

    Raises:
        Conflict: If another module has a model of that name.
    """
    known = {one.name.lower(): one for one in _MODELS.values()}.get(model.name.lower())
    if known is not None and getattr(known.fit, "__module__", "") != getattr(model.fit, "__module__", ""):
        raise Conflict(
            f"There is a model {quote(model.name)} already. Give the model of the plugin another name."
        )
    _MODELS[model.name] = model
