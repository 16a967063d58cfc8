"""Energy communities: sharing, coefficients, metrics, settlement in money, and the rules of countries.

Arithmetic on arrays only; rows, files on disk and clocks live elsewhere (the country profiles come with the package).
"""
