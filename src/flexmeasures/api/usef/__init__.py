"""The messages after USEF: API v1 to v2_0 as one implementation and a table of what differs (``versions``)."""
