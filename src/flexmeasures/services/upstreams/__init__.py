"""Use cases of those whom we follow: their events become limits and prices of our assets, and are reported about.

How messages look and travel is in connectors/upstreams; when things happen is in jobs/upstreams.
"""
