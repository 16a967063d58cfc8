"""The HTTP doors: message shapes, status words and version quirks stay in here."""
