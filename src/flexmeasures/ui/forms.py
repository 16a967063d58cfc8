"""Forms of pages: what was typed stays, errors stand beside their fields, and foreign pages cannot send them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import Response, make_response, request
from flask_login import current_user

from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

__all__ = ["FormState", "keeps_typed", "read_minutes", "read_number"]

View = Callable[..., Any]

_HIDDEN = ("csrf_token", "password")


@dataclass
class FormState:
    """What a form shows.

    Attributes:
        values: By field, as typed.
        errors: By field, as sentences.
    """

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, text: str) -> None:
        """Note what is wrong with a field."""
        self.errors.setdefault(name, []).append(text)


def keeps_typed(view: View) -> View:
    """Show who is not logged in any more a page from which the form can be sent again, with all that was typed."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if request.method == "POST" and not current_user.is_authenticated:
            typed = [(n, v) for n, v in request.form.items(multi=True) if n not in _HIDDEN]
            page = render_flexmeasures_template("pages/session_over.html", typed=typed)
            answer: Response = make_response(page, 401)
            return answer
        return view(*args, **kwargs)

    return guarded


def read_number(form: FormState, typed: Mapping[str, str], name: str, required: bool = True) -> float | None:
    """Read a number with a decimal point or comma; notes what is wrong."""
    text = typed.get(name, "").strip().replace("\u2212", "-")
    if not text:
        if required:
            form.add(name, "Give a number.")
        return None
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        form.add(name, f"{text[:40]!r} is not a number. Write digits, with a point or comma before decimals.")
        return None
    if not math.isfinite(number):
        form.add(name, "Give a finite number.")
        return None
    return number


def read_minutes(form: FormState, typed: Mapping[str, str], name: str) -> timedelta | None:
    """Read a length of time in minutes; notes what is wrong."""
    number = read_number(form, typed, name)
    if number is None:
        return None
    if not 0 < number <= 366 * 24 * 60:
        form.add(name, "Give a number of minutes above 0, and at most a year.")
        return None
    return timedelta(minutes=number)
