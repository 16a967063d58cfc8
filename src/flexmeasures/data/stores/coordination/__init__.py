"""Queries about clients, events, resources and deliveries of coordination; no rules of the domain here."""
