"""Rows and queries. May import the domain and nothing else of ours.

Tables are in ``tables``, queries in ``stores``; what plugins may use stands in ``transactional``.
"""
