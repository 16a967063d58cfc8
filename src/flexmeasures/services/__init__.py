"""Use cases: one function each, called by every door. Session, settings and the current time are passed in.

A service never commits: the door that called it does, so that a request is stored whole or not at all.
"""
