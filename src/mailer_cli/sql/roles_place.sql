-- Where the tables are, as names that may stand in a statement, and which of them belong to somebody else.
SELECT quote_ident(current_database()) AS database,
       quote_ident(current_schema()) AS schema,
       array(
           SELECT tablename::text
           FROM pg_tables
           WHERE schemaname = current_schema()
             AND tablename = ANY (%(tables)s::text[])
             AND tableowner <> %(owner)s::text
           ORDER BY tablename
       ) AS others
