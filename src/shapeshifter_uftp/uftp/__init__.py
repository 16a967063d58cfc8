"""The messages of UFTP 3.0.0 and 3.1.0 as typed values: one module for each message family.

Nothing here does input or output. Powers are whole watts, positive for consumption; a period is one local
day. Every module says in its ``__all__`` what it gives; all of that is public here.
"""

# ruff: noqa: F403, F405  the names are those of the modules, which are listed once, there

from shapeshifter_uftp.uftp import (
    agr_portfolio,
    d_prognosis,
    dso_portfolio,
    enumerations,
    flex_offer,
    flex_order,
    flex_request,
    flex_reservation,
    flex_settlement,
    metering,
    payload,
    routing,
    test_message,
)
from shapeshifter_uftp.uftp.agr_portfolio import *
from shapeshifter_uftp.uftp.d_prognosis import *
from shapeshifter_uftp.uftp.dso_portfolio import *
from shapeshifter_uftp.uftp.enumerations import *
from shapeshifter_uftp.uftp.flex_offer import *
from shapeshifter_uftp.uftp.flex_order import *
from shapeshifter_uftp.uftp.flex_request import *
from shapeshifter_uftp.uftp.flex_reservation import *
from shapeshifter_uftp.uftp.flex_settlement import *
from shapeshifter_uftp.uftp.metering import *
from shapeshifter_uftp.uftp.payload import *
from shapeshifter_uftp.uftp.routing import *
from shapeshifter_uftp.uftp.test_message import *

ACCEPTED, REJECTED = AcceptedRejected.ACCEPTED, AcceptedRejected.REJECTED

__all__ = ["ACCEPTED", "REJECTED"]
__all__ += agr_portfolio.__all__
__all__ += d_prognosis.__all__
__all__ += dso_portfolio.__all__
__all__ += enumerations.__all__
__all__ += flex_offer.__all__
__all__ += flex_order.__all__
__all__ += flex_request.__all__
__all__ += flex_reservation.__all__
__all__ += flex_settlement.__all__
__all__ += metering.__all__
__all__ += payload.__all__
__all__ += routing.__all__
__all__ += test_message.__all__
