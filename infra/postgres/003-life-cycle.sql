-- What accounts and payments may become: holds, captures, refunds, freezes. A plain payment's row and entries stay as they are.

ALTER TABLE sluice.payment
    -- NULL for one that is captured as it is decided.
    ADD COLUMN manual         boolean,
    ADD COLUMN capture_before timestamptz,
    ADD COLUMN hold_until     timestamptz,
    -- NULL while nothing but the decision happened: all is captured where it is settled, nothing elsewhere.
    ADD COLUMN captured       bigint,
    ADD COLUMN refunded       bigint,
    ADD CONSTRAINT captured_and_refunded CHECK (refunded >= 0 AND refunded <= captured AND captured <= amount);
COMMENT ON COLUMN sluice.payment.debit_account IS
    'With debit_sequence: where its movement stands. Alone: the account that it was held on, and each capture names its movement.';
-- The open holds (status 4, authorized), by when they run out. Only the end of a hold changes what is in it.
CREATE INDEX payment_hold ON sluice.payment (hold_until) WHERE status = 4;

-- Commands that are not payments, each with what it did. kind 1: an account was opened; 2 frozen, 3 unfrozen, 4 closed, 5 given another
-- limit; a payment was 6 captured, 7 voided, 8 released because its hold ran out, 9 refunded.
ALTER TABLE sluice.operation
    ALTER COLUMN account_id DROP NOT NULL,
    -- The limit, or the sides that were frozen or unfrozen (account.flags).
    ADD COLUMN setting          bigint,
    -- The account's revision after it; NULL when it was declined.
    ADD COLUMN account_revision bigint,
    ADD COLUMN payment_id       uuid,
    -- What was asked for; NULL for all there is.
    ADD COLUMN requested        bigint,
    ADD COLUMN final            boolean,
    -- What was captured or refunded, and what was held and is not any longer.
    ADD COLUMN moved            bigint,
    ADD COLUMN released         bigint,
    -- The payment's revision after it; NULL when it was declined.
    ADD COLUMN payment_revision bigint,
    -- Where its movement stands.
    ADD COLUMN debit_account    bigint,
    ADD COLUMN debit_sequence   bigint,
    ADD CONSTRAINT about_one_thing CHECK ((account_id IS NULL) <> (payment_id IS NULL));
-- A payment's history. Unique: two changes cannot both be the payment's second.
CREATE UNIQUE INDEX operation_payment ON sluice.operation (payment_id, payment_revision) WHERE payment_revision IS NOT NULL;

-- History, as movements are.
CREATE TRIGGER operation_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sluice.operation
    FOR EACH STATEMENT EXECUTE FUNCTION sluice.refuse_change();
