"""The registry of rules, and the set of rules that a service applies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shapeshifter_uftp.exceptions import Rejection
from shapeshifter_uftp.rules.context import RuleContext
from shapeshifter_uftp.uftp.payload import PayloadMessage

__all__ = ["RULES", "Check", "Rule", "RuleSet", "rule"]

Check = Callable[[Any, RuleContext], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: By which it is switched off.
        check: Raises a Rejection when a message breaks it.
        applies_to: The message types (or bases of them) that it looks at.
        decisive: Whether nothing else matters once it is broken, as for a message to somebody else.
    """

    name: str
    check: Check
    applies_to: tuple[type[PayloadMessage], ...]
    decisive: bool = False


RULES: dict[str, Rule] = {}
"""Every rule by its name, in the order in which they are applied: envelope, cheap checks, look-ups."""


def rule(*applies_to: type[PayloadMessage], decisive: bool = False) -> Callable[[Check], Check]:
    """Register a function as a rule for some message types."""

    def register(check: Check) -> Check:
        name = getattr(check, "__name__", repr(check))
        RULES[name] = Rule(name, check, applies_to, decisive)
        return check

    return register


class RuleSet:
    """The rules that a service applies.

    Args:
        without: Names of standard rules to leave out.
        extra: Rules of your own, applied last.

    Raises:
        KeyError: A name in ``without`` is not a rule.
    """

    def __init__(self, without: Iterable[str] = (), extra: Iterable[Rule] = ()) -> None:
        left_out = set(without)
        unknown = left_out - set(RULES)
        if unknown:
            raise KeyError(f"There are no rules {sorted(unknown)}; there are {sorted(RULES)}")
        self.rules = [*(rule for rule in RULES.values() if rule.name not in left_out), *extra]

    def broken(self, message: PayloadMessage, context: RuleContext) -> list[Rejection]:
        """List how a message breaks the rules; nothing but the first where that one is decisive."""
        return list(self._broken(message, context))

    def _broken(self, message: PayloadMessage, context: RuleContext) -> Iterator[Rejection]:
        for each in self.rules:
            if not isinstance(message, each.applies_to):
                continue
            try:
                each.check(message, context)
            except Rejection as rejection:
                yield rejection
                if each.decisive:
                    return
