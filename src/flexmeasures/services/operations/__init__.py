"""Use cases of operators: what the database holds, and what of it need not stay. Nothing here reads the clock."""
