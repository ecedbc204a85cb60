-- How batches are stored.

-- A batch of payments is stored without asking first which of their ids are new: the primary key refuses a payment's second, and this
-- one that belongs to another kind of command.
CREATE FUNCTION sluice.expect_new(known bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF known > 0 THEN
        RAISE EXCEPTION '% ids were decided before', known USING ERRCODE = 'SL002';
    END IF;
END $$;

-- Updates need room on their page to stay there. The fill factor is a poor way to keep it: PostgreSQL clears a page of old row versions
-- whenever less is free than the fill factor asks for, so that half-empty pages were cleared with every update. Now an account brings the
-- room with it: it is opened with as much in `spare` as its row takes, and gives that up with its first change.
ALTER TABLE sluice.account ADD COLUMN spare text, SET (fillfactor = 90);
COMMENT ON COLUMN sluice.account.spare IS 'Room on the page for later versions of the row; means nothing.';
