"""We as a client of others: weather services, mail, peers. One folder each."""
