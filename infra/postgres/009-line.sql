-- The lines of the ledger's history, the newest last. Revisions of a line are above all of those before it, and an account's revision is
-- never given twice: so a ledger that may have lost commits goes on in a new line.
CREATE TABLE sluice.ledger_line (
    line     bigint PRIMARY KEY CHECK (line >= 0),
    -- Where the ledger was served from then: the cluster, the database in it and this table in that, by the numbers that each gets
    -- anew when it is made from a dump or by pg_upgrade.
    place    text NOT NULL,
    -- PostgreSQL's own line of history, which a promotion and a restore to a point in time begin anew.
    timeline bigint NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now()
);

-- The line that the ledger is in. It is begun where there is none of this place and timeline yet, or where the caller asks for another.
--
-- In a place the lines follow its timelines, of which PostgreSQL gives none twice. Of a ledger in another place, or put back in its own by
-- hand, nobody knows how far the lines of the one that it is a copy of had come since: it leaves out as many as there are days since 2026,
-- which is more than had been begun by then.
CREATE FUNCTION sluice.line_now(is_anew boolean DEFAULT false) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    here text := concat_ws(
        '/', (SELECT system_identifier FROM pg_control_system()), (SELECT oid FROM pg_database WHERE datname = current_database()),
        'sluice.ledger_line'::regclass::oid);
    -- It stands in front in the names of WAL files; 1 at first.
    now_in bigint := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;
    days bigint := floor(extract(epoch FROM now() - timestamptz '2026-01-01T00:00:00Z') / 86400);
    newest sluice.ledger_line;
    wanted bigint;
BEGIN
    LOOP
        SELECT * INTO newest FROM sluice.ledger_line ORDER BY line DESC LIMIT 1;
        IF newest.place = here AND newest.timeline = now_in AND NOT is_anew THEN
            RETURN newest.line;
        END IF;
        wanted := CASE
            -- As it was before this table: the timeline, less one.
            WHEN newest.line IS NULL AND NOT is_anew THEN now_in - 1
            WHEN newest.place = here AND newest.timeline < now_in AND NOT is_anew THEN newest.line + now_in - newest.timeline
            ELSE greatest(newest.line + 1, now_in, days)
        END;
        -- Who begins the same line at the same time waits here, and then finds it begun.
        INSERT INTO sluice.ledger_line (line, place, timeline) VALUES (wanted, here, now_in) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN wanted;
        END IF;
    END LOOP;
END $$;
