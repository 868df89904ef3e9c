-- The clock at this moment, not at the transaction's begin: two clocks are compared.
SELECT extract(epoch FROM clock_timestamp())::float8
