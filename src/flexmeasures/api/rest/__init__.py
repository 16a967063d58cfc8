"""What is no message after USEF: the list of versions and tokens; assets, users and charts come here."""
