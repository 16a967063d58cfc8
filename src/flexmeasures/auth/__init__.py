"""Authentication: users, sessions and tokens, by Flask-Security."""
