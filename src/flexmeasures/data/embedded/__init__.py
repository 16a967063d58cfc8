"""The embedded PostgreSQL and Valkey: one owner of start, stop and recovery.

Here live the two servers that serve an instance when no other ones are configured; nothing here knows what is
stored in them.
"""

from flexmeasures.data.embedded.services import EmbeddedServices

__all__ = ["EmbeddedServices"]
