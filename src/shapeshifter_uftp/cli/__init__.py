"""The command line: a door to the library, and the play that its command ``demo`` gives; nothing imports it."""

from shapeshifter_uftp.cli.commands import generate_signing_keypair, main, perform_lookup

__all__ = ["generate_signing_keypair", "main", "perform_lookup"]
