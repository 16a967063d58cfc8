"""We as a client of partner APIs and OpenADR 3 servers: tokens, questions, reports, shapes of their messages."""
