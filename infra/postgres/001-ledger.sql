-- The ledger. Applied once, in one transaction, by `sluice migrate`.

CREATE SCHEMA sluice;

CREATE TABLE sluice.tenant (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    -- The partition of payments.commands that carries all of the tenant's commands.
    partition   integer NOT NULL CHECK (partition >= 0),
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sluice.api_key (
    public_id   text PRIMARY KEY CHECK (public_id ~ '^[0-9a-f]{16}$'),
    tenant_id   bigint NOT NULL REFERENCES sluice.tenant,
    -- SHA-256 of the whole key: the key itself is shown once and kept nowhere.
    digest      bytea NOT NULL CHECK (octet_length(digest) = 32),
    label       text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);
CREATE INDEX ON sluice.api_key (tenant_id);

-- Numbers are reserved by the worker before it decides, so that a payment can name an account opened in the same batch.
CREATE SEQUENCE sluice.account_number AS bigint;

-- Half-empty pages and no index on a column that changes: every update stays on its page (a heap-only tuple).
CREATE TABLE sluice.account (
    number          bigint PRIMARY KEY,
    tenant_id       bigint NOT NULL REFERENCES sluice.tenant,
    id              text NOT NULL COLLATE "C" CHECK (octet_length(id) BETWEEN 1 AND 64),
    currency        text NOT NULL COLLATE "C" CHECK (octet_length(currency) = 3),
    kind            smallint NOT NULL,
    overdraft_limit bigint NOT NULL CHECK (overdraft_limit BETWEEN 0 AND 9007199254740991),
    flags           smallint NOT NULL DEFAULT 0,
    posted          bigint NOT NULL CHECK (posted BETWEEN -9007199254740991 AND 9007199254740991),
    held            bigint NOT NULL CHECK (held BETWEEN 0 AND 9007199254740991),
    sequence        bigint NOT NULL CHECK (sequence >= 0),
    revision        bigint NOT NULL CHECK (revision >= 1),
    opened_at       timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    UNIQUE (tenant_id, id),
    CONSTRAINT overdraft CHECK (kind <> 0 OR posted - held >= -overdraft_limit)
) WITH (fillfactor = 50);

CREATE TABLE sluice.payment (
    id              uuid PRIMARY KEY,
    tenant_id       bigint NOT NULL,
    fingerprint     uuid NOT NULL,
    debit           text NOT NULL COLLATE "C",
    credit          text NOT NULL COLLATE "C",
    amount          bigint NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
    currency        text NOT NULL COLLATE "C",
    reference       text COLLATE "C",
    -- Not jsonb: the text is kept as it is, so that every reader renders the same bytes.
    metadata        json,
    expires_at      timestamptz,
    status          smallint NOT NULL,
    decline_reason  smallint,
    accepted_at     timestamptz NOT NULL,
    decided_at      timestamptz NOT NULL,
    revision        bigint NOT NULL CHECK (revision >= 1),
    -- Where its movement stands; NULL when nothing moved.
    debit_account   bigint,
    debit_sequence  bigint,
    -- Where its command stands in the log.
    log_partition   integer NOT NULL,
    log_offset      bigint NOT NULL
);
CREATE INDEX payment_reference ON sluice.payment (tenant_id, reference, accepted_at DESC, id) WHERE reference IS NOT NULL;

-- One row is one movement of money and both of its entries: what one account loses the other gains, by construction.
CREATE TABLE sluice.movement (
    payment_id          uuid NOT NULL,
    debit_account       bigint NOT NULL,
    credit_account      bigint NOT NULL CHECK (credit_account <> debit_account),
    amount              bigint NOT NULL CHECK (amount > 0),
    debit_sequence      bigint NOT NULL CHECK (debit_sequence >= 1),
    credit_sequence     bigint NOT NULL CHECK (credit_sequence >= 1),
    debit_posted_after  bigint NOT NULL,
    credit_posted_after bigint NOT NULL,
    debit_revision      bigint NOT NULL,
    credit_revision     bigint NOT NULL,
    decided_at          timestamptz NOT NULL
);
CREATE UNIQUE INDEX movement_debit ON sluice.movement (debit_account, debit_sequence);
CREATE UNIQUE INDEX movement_credit ON sluice.movement (credit_account, credit_sequence);

-- Entries are history. Nobody corrects them in place: a correction is another movement.
CREATE FUNCTION sluice.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'sluice.% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER movement_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sluice.movement
    FOR EACH STATEMENT EXECUTE FUNCTION sluice.refuse_change();

-- Commands that are not payments, with their outcome.
CREATE TABLE sluice.operation (
    id              uuid PRIMARY KEY,
    tenant_id       bigint NOT NULL,
    fingerprint     uuid NOT NULL,
    kind            smallint NOT NULL,  -- 1: open account
    account_id      text NOT NULL COLLATE "C",
    decline_reason  smallint,
    decided_at      timestamptz NOT NULL,
    log_partition   integer NOT NULL,
    log_offset      bigint NOT NULL
);

-- Another request under a key that was used: nothing moved.
CREATE TABLE sluice.key_conflict (
    log_partition   integer NOT NULL,
    log_offset      bigint NOT NULL,
    log_incarnation text NOT NULL,
    operation_id    uuid NOT NULL,
    tenant_id       bigint NOT NULL,
    fingerprint     uuid NOT NULL,
    decided_at      timestamptz NOT NULL,
    PRIMARY KEY (log_incarnation, log_partition, log_offset)
);

-- Records of the log that could not be read or applied.
CREATE TABLE sluice.dead_letter (
    log_incarnation text NOT NULL,
    log_partition   integer NOT NULL,
    log_offset      bigint NOT NULL,
    tenant_id       bigint,
    operation_id    uuid,
    reason          text NOT NULL,
    record_key      bytea,
    record_value    bytea,
    record_headers  json,
    seen_at         timestamptz NOT NULL,
    PRIMARY KEY (log_incarnation, log_partition, log_offset)
);
CREATE INDEX dead_letter_operation ON sluice.dead_letter (operation_id);

-- How far each partition of the log is applied. It moves in the same transaction as the outcomes.
CREATE TABLE sluice.kafka_offset (
    topic            text NOT NULL,
    partition        integer NOT NULL,
    -- Which log the offsets count in: the cluster's id. Another log starts anew, and stops the partition.
    log_incarnation  text,
    next_offset      bigint NOT NULL DEFAULT 0 CHECK (next_offset >= 0),
    -- Outcomes below it have been published; the next owner repeats those from here on.
    published_offset bigint NOT NULL DEFAULT 0,
    -- Rises with every owner: an owner that was replaced finds another's.
    epoch            bigint NOT NULL DEFAULT 0,
    owner            text NOT NULL DEFAULT '',
    last_decided_at  timestamptz NOT NULL DEFAULT '1970-01-01T00:00:00Z',
    PRIMARY KEY (topic, partition),
    CHECK (published_offset <= next_offset)
) WITH (fillfactor = 50);

-- Fails the statement, and with it the whole pipeline, when a count is not the expected one.
CREATE FUNCTION sluice.expect(actual bigint, expected bigint, what text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF actual IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '% rows where % were expected: %', actual, expected, what USING ERRCODE = 'SL001';
    END IF;
    RETURN actual;
END $$;
