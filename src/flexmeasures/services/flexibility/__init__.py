"""Offering, ordering and settling flexibility: use cases around `domain.flexibility`, which holds the arithmetic."""
