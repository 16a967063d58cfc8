"""Use cases of energy communities: setting them up, settling their days, metrics, statements and proposals.

No arithmetic of sharing here: that is in `domain.communities`.
"""
