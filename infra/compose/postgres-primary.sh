#!/bin/bash
# Run once by the image, in a primary that was just made: the roles, the database, the slots, and who may copy it.
set -eu
psql --no-psqlrc --quiet --output=/dev/null --username="$POSTGRES_USER" --dbname=postgres --file=/sluice/roles.sql
echo 'host replication sluice_replication all scram-sha-256' >>"$PGDATA/pg_hba.conf"
