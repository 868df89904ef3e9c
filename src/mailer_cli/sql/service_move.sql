-- The operator says that this copy is the one that sends from now on; the next dispatch settles it.
UPDATE service SET home = NULL, timeline = NULL, synchronous = NULL WHERE id = 1
