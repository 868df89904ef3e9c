-- Claims whose lease lapsed long enough ago for a tick to have taken them over.
SELECT count(*) FROM claim WHERE lease_until < now() - interval '2 minutes'
