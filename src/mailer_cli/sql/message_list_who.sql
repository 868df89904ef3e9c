-- A client is named by phone or by id, whichever the operator has at hand.
SELECT id FROM client WHERE id = %(client_id)s::bigint OR phone = %(phone)s::text
