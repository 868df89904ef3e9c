-- One row per execution of `mailer dispatch`: that it ran at all is the first thing an operator asks.
INSERT INTO run (host, pid) VALUES (%(host)s, %(pid)s) RETURNING id
