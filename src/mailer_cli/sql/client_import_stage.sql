-- Rows as the file has them; null where it says nothing. Gone with the transaction. Phones are compared
-- byte by byte, several times faster than by the rules of a language.
CREATE TEMPORARY TABLE client_import (
    line bigint NOT NULL, phone text COLLATE "C" NOT NULL, operator_code text, tag text, timezone text
) ON COMMIT DROP
