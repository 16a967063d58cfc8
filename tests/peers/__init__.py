"""Independent OpenADR 3 clients, each in an environment of its own (`make peers`), against our server on loopback."""
