"""Spanish ids of the energy sector: supply points (CUPS), self-consumption groups (CAU) and generators (CIL)."""

from __future__ import annotations

import re

from flexmeasures.domain.errors import InvalidInput

__all__ = ["check_letters", "read_generator", "read_group", "read_supply_point"]

_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CUPS = re.compile(r"ES(\d{16})([A-Z]{2})([0-9][A-Z])?", re.ASCII)
_LONGEST = 40


def check_letters(digits: str) -> str:
    """Work out the two check letters of the sixteen digits of a CUPS.

    The digits modulo 529, divided by 23: quotient and remainder are letters of the alphabet that the Spanish tax
    number uses.

    >>> check_letters("1234123456789012")
    'JY'
    """
    quotient, remainder = divmod(int(digits) % 529, 23)
    return _LETTERS[quotient] + _LETTERS[remainder]


def read_supply_point(text: str) -> str:
    """Read a CUPS of 20 or 22 characters; blanks and hyphens between them and small letters are allowed.

    Returns:
        The CUPS in capital letters, without blanks.

    Raises:
        InvalidInput: If it is not one, or its check letters are wrong.
    """
    shown = text[:_LONGEST]
    cups = re.sub(r"[ -]", "", shown).upper() if len(text) <= _LONGEST else ""
    match = _CUPS.fullmatch(cups)
    if match is None:
        raise InvalidInput(
            f"{shown!r} is not a CUPS. Write ES, 16 digits, 2 check letters and, where there is one, a digit and "
            "a letter: ES1234123456789012JY."
        )
    if match[2] != check_letters(match[1]):
        raise InvalidInput(
            f"{shown!r} is not a CUPS: its check letters should be {check_letters(match[1])}, not {match[2]}. "
            "Check its digits."
        )
    return cups


def read_group(text: str) -> str:
    """Read a CAU: a CUPS, the letter A and three digits.

    Raises:
        InvalidInput: If it is not one.
    """
    return _with_suffix(text, r"A\d{3}", "a CAU", "a CUPS, the letter A and three digits")


def read_generator(text: str) -> str:
    """Read a CIL: a CUPS and three digits.

    Raises:
        InvalidInput: If it is not one.
    """
    return _with_suffix(text, r"\d{3}", "a CIL", "a CUPS and three digits")


def _with_suffix(text: str, suffix: str, kind: str, form: str) -> str:
    whole = re.sub(r"[ -]", "", text[:_LONGEST]).upper()
    match = re.fullmatch(rf"(.{{20}}|.{{22}})({suffix})", whole, re.ASCII)
    if match is None:
        raise InvalidInput(f"{text[:_LONGEST]!r} is not {kind}. Write {form}.")
    return read_supply_point(match[1]) + match[2]
