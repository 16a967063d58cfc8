"""Who may do what: accounts, sessions and tokens, by Flask-Security."""
