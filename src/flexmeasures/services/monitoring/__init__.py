"""Watching over measurements: rules of sensors, the check that raises alerts, and what people do with these.

Sending mail and placing jobs is done in `jobs.monitoring`.
"""
