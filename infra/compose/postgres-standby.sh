#!/bin/bash
# Copies the primary once, then follows it. A copy that was cut short is made again.
set -eu
umask 077
# libpq takes a password file of its owner's alone.
echo "*:*:*:sluice_replication:$SLUICE_REPLICATION_PASSWORD" >/tmp/pgpass
primary="host=postgres-primary user=sluice_replication passfile=/tmp/pgpass application_name=$SLUICE_SLOT"
if [ ! -e "$PGDATA/standby.signal" ]; then
    find "$PGDATA" -mindepth 1 -delete
    until pg_basebackup --pgdata="$PGDATA" --dbname="$primary" --wal-method=stream --slot="$SLUICE_SLOT" --checkpoint=fast --no-password; do
        find "$PGDATA" -mindepth 1 -delete
        sleep 1
    done
    touch "$PGDATA/standby.signal"
fi
exec postgres -cprimary_conninfo="$primary" -cprimary_slot_name="$SLUICE_SLOT" -chot_standby=on -chot_standby_feedback=on \
    -cmax_connections=250 -cwal_receiver_timeout=10s -cwal_receiver_status_interval=1s -cwal_retrieve_retry_interval=500ms -cjit=off
