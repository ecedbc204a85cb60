-- Run by `sluice up` at every start, as the superuser, against the database postgres.
-- Passwords come by environment, so that they are in no argument list and no file of their own.
\set ON_ERROR_STOP on
\getenv sluice_password SLUICE_PASSWORD
\getenv replication_password SLUICE_REPLICATION_PASSWORD

-- The synchronous standby is not attached yet: waiting for it would be waiting for ever.
SET synchronous_commit = local;

SELECT 'CREATE ROLE sluice LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice') \gexec
SELECT 'CREATE ROLE sluice_replication LOGIN REPLICATION'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_replication') \gexec
-- What gateways connect as. It reads and nothing else, and has so many connections to a server, however many gateways there are: the rest
-- of max_connections is the worker's and the operators'. The server counts, so that nobody has to agree on anything.
SELECT 'CREATE ROLE sluice_gateway LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_gateway') \gexec
ALTER ROLE sluice_gateway CONNECTION LIMIT 200 PASSWORD :'sluice_password';
GRANT pg_read_all_data TO sluice_gateway;
-- What workers connect as. `sluice migrate` gives it its rights: it adds entries and changes none.
SELECT 'CREATE ROLE sluice_worker LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_worker') \gexec
ALTER ROLE sluice_worker PASSWORD :'sluice_password';
ALTER ROLE sluice PASSWORD :'sluice_password';
-- So that `sluice doctor` is told which standby confirms commits, and how far the slots are behind.
GRANT pg_monitor TO sluice;
ALTER ROLE sluice_replication PASSWORD :'replication_password';

SELECT 'CREATE DATABASE sluice OWNER sluice' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'sluice') \gexec

SELECT pg_create_physical_replication_slot(slot)
  FROM unnest(ARRAY['sluice_standby', 'sluice_replica']) AS slot
 WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = slot);
