-- The role that the connector logs in as, with no more rights than it needs. As a superuser:
--   psql -v ON_ERROR_STOP=1 -v role=afoot_connect -f role.sql      then  \password afoot_connect
SELECT format('CREATE ROLE %I LOGIN REPLICATION', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role')
\gexec
GRANT USAGE ON SCHEMA inventory TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA inventory TO :"role";
GRANT INSERT, UPDATE ON inventory.heartbeat TO :"role";
GRANT INSERT, DELETE ON inventory.signal TO :"role";
