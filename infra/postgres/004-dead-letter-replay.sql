-- When a dead letter was put into the log again. What became of it there is an outcome of its own.

ALTER TABLE sluice.dead_letter ADD COLUMN replayed_at timestamptz;
