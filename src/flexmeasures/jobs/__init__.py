"""Queues, workers and the functions that a worker runs: thin shells around services."""
