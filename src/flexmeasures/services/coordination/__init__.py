"""Use cases of coordination with the grid: what clients of both faces may ask for, and what happens then.

Shapes of messages and status codes live in the doors (api/coordination, api/openadr3), queries in
data/stores/coordination.
"""
