-- What the ledger's benchmark is held against: on the tables and indexes of the ledger itself, in a copy of its database.
CREATE SCHEMA peer;

-- One payment in one transaction, decided by the server: the usual way to write it.
CREATE FUNCTION peer.pay(debit_index int, credit_index int, minor_units bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    debit_row sluice.account;
    credit_row sluice.account;
    payment_id uuid := gen_random_uuid();
BEGIN
    -- In one order, so that two payments between the same accounts cannot deadlock.
    PERFORM 1 FROM sluice.account WHERE tenant_id = 1 AND id IN ('a:' || debit_index, 'a:' || credit_index) ORDER BY number FOR UPDATE;
    SELECT * INTO debit_row FROM sluice.account WHERE tenant_id = 1 AND id = 'a:' || debit_index;
    SELECT * INTO credit_row FROM sluice.account WHERE tenant_id = 1 AND id = 'a:' || credit_index;
    IF debit_row.posted - debit_row.held - minor_units < -debit_row.overdraft_limit THEN
        RETURN false;
    END IF;
    UPDATE sluice.account SET posted = posted - minor_units, sequence = sequence + 1, revision = revision + 1, changed_at = now(), spare = NULL
        WHERE number = debit_row.number;
    UPDATE sluice.account SET posted = posted + minor_units, sequence = sequence + 1, revision = revision + 1, changed_at = now(), spare = NULL
        WHERE number = credit_row.number;
    INSERT INTO sluice.payment (id, tenant_id, fingerprint, debit, credit, amount, currency, status, accepted_at, decided_at, revision,
            debit_account, debit_sequence, log_partition, log_offset)
        VALUES (payment_id, 1, payment_id, debit_row.id, credit_row.id, minor_units, 'CZK', 1, now(), now(), 1, debit_row.number,
            debit_row.sequence + 1, 0, 0);
    INSERT INTO sluice.movement (payment_id, debit_account, credit_account, amount, debit_sequence, credit_sequence, debit_posted_after,
            credit_posted_after, debit_revision, credit_revision, decided_at)
        VALUES (payment_id, debit_row.number, credit_row.number, minor_units, debit_row.sequence + 1, credit_row.sequence + 1,
            debit_row.posted - minor_units, credit_row.posted + minor_units, debit_row.revision + 1, credit_row.revision + 1, now());
    RETURN true;
END $$;

-- Payments that are made up beforehand, as the worker's come from the log.
CREATE TABLE peer.input (position bigint PRIMARY KEY, id uuid, debit bigint, credit bigint, debit_id text, credit_id text);
CREATE SEQUENCE peer.place MINVALUE 0;

CREATE FUNCTION peer.fill(count int, accounts int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO peer.input
    SELECT p.position, gen_random_uuid(), d.number, c.number, d.id, c.id
    FROM (SELECT position, floor(random() * accounts)::int AS debit, floor(random() * (accounts - 1))::int + 1 AS step
          FROM generate_series(0, count - 1) AS position) p
    JOIN sluice.account d ON d.tenant_id = 1 AND d.id = 'a:' || p.debit
    JOIN sluice.account c ON c.tenant_id = 1 AND c.id = 'a:' || (p.debit + p.step) % accounts
$$;

-- One batch in one transaction, set-based and without any decision: the limit. Each row gets a sequence of its own on its accounts
-- and each account one netted update; balances after each entry are left out, which favours this side.
CREATE FUNCTION peer.batch(size int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    start bigint := (nextval('peer.place')) * size;
BEGIN
    UPDATE sluice.kafka_offset SET next_offset = next_offset + size WHERE topic = 'payments.commands' AND partition = 0;
    WITH input AS MATERIALIZED (SELECT * FROM peer.input WHERE position >= start AND position < start + size),
    legs AS (
        SELECT position, debit AS account, -1 AS amount FROM input UNION ALL SELECT position, credit, 1 FROM input),
    netted AS (SELECT account, sum(amount) AS amount, count(*) AS entries FROM legs GROUP BY account),
    placed AS MATERIALIZED (
        SELECT l.position, l.amount, a.sequence + row_number() OVER (PARTITION BY l.account ORDER BY l.position) AS sequence
        FROM legs l JOIN sluice.account a ON a.number = l.account),
    payments AS (
        INSERT INTO sluice.payment (id, tenant_id, fingerprint, debit, credit, amount, currency, status, accepted_at, decided_at, revision,
            debit_account, debit_sequence, log_partition, log_offset)
        SELECT i.id, 1, i.id, i.debit_id, i.credit_id, 1, 'CZK', 1, now(), now(), 1, i.debit, d.sequence, 0, i.position
        FROM input i JOIN placed d ON d.position = i.position AND d.amount < 0 ORDER BY i.id),
    movements AS (
        INSERT INTO sluice.movement (payment_id, debit_account, credit_account, amount, debit_sequence, credit_sequence,
            debit_posted_after, credit_posted_after, debit_revision, credit_revision, decided_at)
        SELECT i.id, i.debit, i.credit, 1, d.sequence, c.sequence, 0, 0, d.sequence, c.sequence, now()
        FROM input i JOIN placed d ON d.position = i.position AND d.amount < 0 JOIN placed c ON c.position = i.position AND c.amount > 0)
    UPDATE sluice.account a SET posted = a.posted + n.amount, sequence = a.sequence + n.entries, revision = a.revision + n.entries,
        changed_at = now(), spare = NULL
    FROM netted n WHERE a.number = n.account;
END $$;
