-- Which roles' work this database user may do: every privilege of it, however it was come by.
SELECT wanted.role,
       bool_and(
           CASE wanted.privilege
               WHEN 'OWNER' THEN pg_has_role(c.relowner, 'USAGE')
               WHEN 'DELETE' THEN has_table_privilege(c.oid, 'DELETE')
               ELSE has_any_column_privilege(c.oid, wanted.privilege)
           END
       ) AS may
FROM unnest(%(roles)s::text[], %(tables)s::text[], %(privileges)s::text[]) AS wanted (role, name, privilege)
JOIN pg_class c ON c.oid = to_regclass(wanted.name)
GROUP BY wanted.role
