-- Read once, so that all shards admit the same newcomers: a client added meanwhile is in none of them.
SELECT max(id) FROM client
