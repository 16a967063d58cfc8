"""The Python door for studies: a home as values, plans and whole years without a server, in kW and kWh.

Only the domain lives below it: no database, no settings, no clock. The names listed here stay.
"""

from flexmeasures.lab.home import Battery, Car, Connection, Home
from flexmeasures.lab.planning import DayPlan, plan_day
from flexmeasures.lab.rolling import Comparison, Run, compare, roll
from flexmeasures.lab.rules import RULES
from flexmeasures.lab.series import Series, read_series

__all__ = [
    "RULES",
    "Battery",
    "Car",
    "Comparison",
    "Connection",
    "DayPlan",
    "Home",
    "Run",
    "Series",
    "compare",
    "plan_day",
    "read_series",
    "roll",
]
