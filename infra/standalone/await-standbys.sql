-- Returns when the synchronous standby confirms commits and the read replica streams. Reads only: a
-- commit of its own would wait for the standby. The supervisor's deadline bounds it.
\set ON_ERROR_STOP on
DO $$
BEGIN
    LOOP
        -- Without this the second look would show what the first one saw.
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN (SELECT count(*) FROM pg_stat_replication
                    WHERE state = 'streaming'
                      AND (application_name, sync_state) IN (('sluice_standby', 'sync'), ('sluice_replica', 'async'))) = 2;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
