"""Tolerance on receipt: each known quirk of a peer or contradiction in the standard is one function.

A tolerance takes the tree of a message that failed its schema and gives a corrected tree to validate again,
or the same tree when it has nothing to forgive. Only `drop_foreign_elements` changes what is read
afterwards; the others correct a copy, which is used for validation and then thrown away.

Source: specification, "Extensions" (foreign namespaces); schema quirks of 3.x.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from lxml import etree

__all__ = ["TOLERANCES", "Tolerance"]

Tolerance = Callable[[Any], Any]
_PLACEHOLDER_ID = "ean.000000000000"


def _is_foreign(element: Any) -> bool:
    return isinstance(element.tag, str) and element.tag.startswith("{")


def drop_foreign_elements(root: Any) -> Any:
    """Remove extension elements and attributes of other namespaces: the prose allows them, no schema does."""
    foreign = [element for element in root.iterdescendants() if _is_foreign(element)]
    for element in foreign:
        if element.getparent() is not None:
            element.getparent().remove(element)
    changed = bool(foreign)
    for element in root.iter():
        for name in [name for name in element.attrib if name.startswith("{")]:
            del element.attrib[name]
            changed = True
    return copy.deepcopy(root) if changed else root


def ignore_result_of_test_response(root: Any) -> Any:
    """Accept ``Result`` in a TestMessageResponse: Python peers since 2.3 send it, though 3.x does not know it."""
    if root.tag != "TestMessageResponse" or not ({"Result", "RejectionReason"} & set(root.keys())):
        return root
    corrected = copy.deepcopy(root)
    for name in ("Result", "RejectionReason"):
        corrected.attrib.pop(name, None)
    return corrected


def accept_long_meter_ean(root: Any) -> Any:
    """Accept 18 digits in the EAN of Metering: real Dutch codes have them, the schemas of 3.x say 16."""
    ean = root.get("EAN") or ""
    if root.tag != "Metering" or len(ean) != 19:
        return root
    corrected = copy.deepcopy(root)
    corrected.set("EAN", ean[:17])
    return corrected if ean[17:].isascii() and ean[17:].isdigit() else root


def accept_settlement_without_contracts(root: Any) -> Any:
    """Accept a FlexSettlement without ContractSettlement: the prose says 0 or more, the schema 1 or more."""
    if root.tag != "FlexSettlement" or root.find("ContractSettlement") is not None:
        return root
    corrected = copy.deepcopy(root)
    contract = etree.SubElement(corrected, "ContractSettlement")
    period = etree.SubElement(contract, "Period", Period="2000-01-01")
    etree.SubElement(period, "ISP", Start="1", ReservedPower="0")
    return corrected


def accept_bare_rejections(root: Any) -> Any:
    """Accept a rejecting response without the children that its schema demands even then."""
    if root.get("Result") != "Rejected" or len(root):
        return root
    if root.tag == "FlexSettlementResponse":
        corrected = copy.deepcopy(root)
        etree.SubElement(corrected, "FlexOrderSettlementStatus", Disposition="Disputed")
        return corrected
    if root.tag == "AGRPortfolioQueryResponse":
        corrected = copy.deepcopy(root)
        parent = etree.SubElement(corrected, "DSO-View")
        parent = etree.SubElement(parent, "DSO-Portfolio", {"DSO-Domain": "none.invalid"})
        parent = etree.SubElement(
            parent, "CongestionPoint", EntityAddress=_PLACEHOLDER_ID, MutexOffersSupported="false",
            DayAheadRedispatchBy="DSO",
        )  # fmt: skip
        etree.SubElement(parent, "Connection", EntityAddress=_PLACEHOLDER_ID)
        return corrected
    return root


TOLERANCES: list[Tolerance] = [
    drop_foreign_elements,
    ignore_result_of_test_response,
    accept_long_meter_ean,
    accept_settlement_without_contracts,
    accept_bare_rejections,
]
"""The tolerances in use, in order; remove one to be stricter, append one for another peer."""
