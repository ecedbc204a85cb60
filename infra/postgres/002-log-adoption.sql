-- When a partition moved on to another log: offsets of outcomes decided until then count in the log before it.

CREATE TABLE sluice.log_adoption (
    topic           text NOT NULL,
    partition       integer NOT NULL,
    -- The log that was moved on to.
    log_incarnation text NOT NULL,
    -- The log before it, and how far it was applied: all of it.
    left_incarnation text NOT NULL,
    left_offset     bigint NOT NULL,
    -- No outcome of the log before it is later, none of this log is as early.
    decided_until   timestamptz NOT NULL,
    adopted_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, log_incarnation)
);
