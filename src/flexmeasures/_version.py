"""The version, in a module of its own so that it can be read without loading anything."""

__version__ = "0.4.0"
