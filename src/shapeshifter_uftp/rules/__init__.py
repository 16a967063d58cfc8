"""The semantic rules of UFTP: each is a small named function; users switch them off or add their own.

A rule looks at one received message and what is known, and raises a `Rejection` when the message breaks it. Nothing
here sends, stores or waits.
"""

from shapeshifter_uftp.rules import flex, generic, metering, settlement
from shapeshifter_uftp.rules.context import Market, RuleContext, TradeBook
from shapeshifter_uftp.rules.registry import RULES, Rule, RuleSet, rule

__all__ = [
    "RULES", "Market", "Rule", "RuleContext", "RuleSet", "TradeBook", "flex", "generic", "metering", "rule",
    "settlement",
]  # fmt: skip
