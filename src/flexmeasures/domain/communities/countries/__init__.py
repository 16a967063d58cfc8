"""Rules of countries: figures as data in `profiles`, each with source, dates and certainty, and pure functions beside.

The core knows none of them. A country is added with a file in `profiles` (or in a folder of one's own) and, where it
has formulas of its own, a module here.
"""
