"""Names that people give to things: how they are kept, and which texts can be one."""

from __future__ import annotations

import unicodedata

from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.quoting import quote

__all__ = ["clean_name", "machine_name", "name_fault", "require_name"]

# Printable for Python, and yet nothing is to be seen: Hangul fillers and the empty pattern of Braille.
_BLANK = frozenset(" \u115f\u1160\u2800\u3164\uffa0")


def clean_name(text: str) -> str:
    """Write a name as it is kept: composed (NFC) and without blanks around it, so that what looks the same is the same.

    >>> clean_name("  Cafe\\u0301 ") == "Caf\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text).strip()


def machine_name(text: str) -> str:
    """Write a name as markets and weather sensors have it: in lower case, with underscores for spaces.

    >>> machine_name(" EPEX DA ")
    'epex_da'
    """
    return clean_name(text).lower().replace(" ", "_")


def name_fault(text: str, longest: int) -> str:
    """Say what keeps a text from being a name; empty if nothing does.

    Args:
        text: As `clean_name` has left it.
        longest: The largest number of characters.

    >>> name_fault("my battery", 80), name_fault("a\\u202eb", 80)
    ('', 'Must not hold line ends, direction marks or other characters that cannot be printed.')
    """
    if not 0 < len(text) <= longest:
        return f"Must have 1 to {longest} characters."
    # Of these Python counts line ends, tabs, direction marks and surrogates as not printable.
    if not text.isprintable():
        return "Must not hold line ends, direction marks or other characters that cannot be printed."
    if _BLANK.issuperset(text):
        return "Must hold something that can be seen."
    return ""


def require_name(text: str, kind: str, longest: int) -> str:
    """Clean a name and check it.

    Raises:
        InvalidInput: If it cannot be one; says of what.
    """
    name = clean_name(text)
    fault = name_fault(name, longest)
    if fault:
        raise InvalidInput(f"{quote(text)} is not a {kind}. {fault}")
    return name
