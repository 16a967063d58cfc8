"""The table of beliefs: bulk writes, and reads of what was believed when. No rules of the domain here."""

import psycopg

from flexmeasures.data.stores.arrays import register_dumpers
from flexmeasures.data.stores.beliefs.reading import (
    SourceFilter,
    Window,
    count_up_to,
    last_start_before,
    read_beliefs,
    read_latest,
    time_range,
)
from flexmeasures.data.stores.beliefs.writing import (
    Added,
    Contradiction,
    SensorBeliefs,
    add_beliefs,
    insert_beliefs,
)

__all__ = [
    "Added",
    "Contradiction",
    "SensorBeliefs",
    "SourceFilter",
    "Window",
    "add_beliefs",
    "count_up_to",
    "insert_beliefs",
    "last_start_before",
    "read_beliefs",
    "read_latest",
    "time_range",
]

register_dumpers(psycopg.adapters)
