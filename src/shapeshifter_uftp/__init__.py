"""UFTP, the flexibility-trading protocol of Shapeshifter."""
