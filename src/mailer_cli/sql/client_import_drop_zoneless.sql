-- What was rejected for want of a zone shall not stand in the way of a later row that has one.
DELETE FROM client_import i
WHERE i.timezone IS NULL AND NOT EXISTS (SELECT FROM client c WHERE c.phone = i.phone COLLATE "default")
