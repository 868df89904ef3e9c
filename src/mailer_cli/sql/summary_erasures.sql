-- How many clients were erased so far, by the index of phones; it only grows.
SELECT count(*) FROM client WHERE phone > 'erased' AND phone < 'erasee'
