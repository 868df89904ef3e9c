-- This database is the one that sends; see `service_state`. Which of its lives (a promoted standby begins another,
-- on a timeline of its own), and whether commits reach a standby before they are confirmed, is kept with it.
UPDATE service
SET home = %(home)s, timeline = %(timeline)s, synchronous = %(synchronous)s
WHERE id = 1
