"""The durable memory: a journal of every message both ways, in SQLite or any other SQL database.

Only this package speaks SQL. It knows messages as bytes with a few searchable marks; what they mean lives elsewhere.
"""

from shapeshifter_uftp.store.database import Database, open_database
from shapeshifter_uftp.store.journal import Arrival, Direction, Entry, Journal, State, Waiting
from shapeshifter_uftp.store.partners import Fault, Partners

__all__ = [
    "Arrival",
    "Database",
    "Direction",
    "Entry",
    "Fault",
    "Journal",
    "Partners",
    "State",
    "Waiting",
    "open_database",
]
