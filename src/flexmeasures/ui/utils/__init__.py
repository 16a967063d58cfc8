"""A public path that plugins know; nothing new belongs here."""
