-- The client's trace, back with its payment. A row without one is not longer by it: the map of what is NULL has room for it.
ALTER TABLE sluice.payment ADD COLUMN traceparent text COLLATE "C";
COMMENT ON COLUMN sluice.payment.traceparent IS 'W3C trace context of the request that was decided; NULL when it had none.';
