-- History is written where the change is made, so that neither can be had without the other.
INSERT INTO event (actor, action, mailing_id, client_id, old, new)
VALUES (%(actor)s, %(action)s, %(mailing_id)s, %(client_id)s, %(old)s, %(new)s)
RETURNING id
