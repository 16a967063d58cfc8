"""A scheduler: for assets whose flex model names it, and for boilers."""

import numpy as np

from flexmeasures.services.schedulers import SchedulingTask, scheduler


@scheduler("cheap-hours", version="1", asset_types=("boiler",))
def run_in_cheap_hours(task: SchedulingTask) -> np.ndarray:
    """Run at full power in the cheapest slots of each 24 hours."""
    a_day = round(24 / (task.resolution.total_seconds() / 3600))
    wanted = round(a_day * task.parameters.get("hours", 3) / 24)
    power = np.zeros(len(task.prices))
    for first in range(0, len(power), a_day):
        prices = task.prices[first : first + a_day]
        cheapest = np.argsort(prices, kind="stable")[:wanted]
        power[first + cheapest] = task.capacity_mw
    return power
