"""The pure core: numbers in, numbers out.

No Flask, no SQLAlchemy, no clock and no environment may be imported here.
"""
