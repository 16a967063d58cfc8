"""Schedulers of plugins: the kept path of what lives in `services.schedules.schedulers`."""

from flexmeasures.services.schedules.schedulers import SchedulingTask, scheduler

__all__ = ["SchedulingTask", "scheduler"]
