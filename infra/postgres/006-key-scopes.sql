-- What a key permits, as bits: 1 to read, 2 to pay, 4 to open and change accounts. Keys from before permit everything.

ALTER TABLE sluice.api_key
    ADD COLUMN scopes     smallint NOT NULL DEFAULT 7 CHECK (scopes BETWEEN 1 AND 7),
    ADD COLUMN expires_at timestamptz CHECK (expires_at > created_at);
