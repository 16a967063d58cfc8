"""Queries, one module a subject: rows in, rows or arrays out. No rules of the domain and no HTTP here."""
