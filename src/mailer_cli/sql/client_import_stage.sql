-- Rows as the file has them; null where it says nothing. Gone with the transaction.
CREATE TEMPORARY TABLE client_import (
    line bigint NOT NULL, phone text NOT NULL, operator_code text, tag text, timezone text
) ON COMMIT DROP
