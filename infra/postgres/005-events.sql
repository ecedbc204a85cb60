-- How far events are known to be in payments.events; the next owner of the partition writes them again from here on. What was decided
-- before there were events has none.

ALTER TABLE sluice.kafka_offset ADD COLUMN relayed_offset bigint NOT NULL DEFAULT 0;
UPDATE sluice.kafka_offset SET relayed_offset = next_offset;
ALTER TABLE sluice.kafka_offset ADD CHECK (relayed_offset <= next_offset);
