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
ALTER ROLE sluice PASSWORD :'sluice_password';
ALTER ROLE sluice_replication PASSWORD :'replication_password';

SELECT 'CREATE DATABASE sluice OWNER sluice' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'sluice') \gexec

SELECT pg_create_physical_replication_slot(slot)
  FROM unnest(ARRAY['sluice_standby', 'sluice_replica']) AS slot
 WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = slot);
