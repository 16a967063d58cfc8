"""What all unit tests share."""

from hypothesis import HealthCheck, settings

# A busy machine must not fail a law: how long something takes is measured by the benchmarks.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
