-- How many clients are in a zone, counted no further than there is a need to.
SELECT count(*)
FROM (SELECT FROM client WHERE timezone = %(zone)s AND removed_at IS NULL LIMIT %(bound)s) AS few
