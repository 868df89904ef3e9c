-- Counters move in the transaction that moves the messages, last, so that the row is locked briefly.
INSERT INTO counter (shard, mailing_id, sending, retrying, sent, failed, unknown, expired, cancelled)
VALUES (
    %(shard)s, %(mailing_id)s, %(sending)s, %(retrying)s, %(sent)s, %(failed)s, %(unknown)s, %(expired)s,
    %(cancelled)s
)
ON CONFLICT (shard, mailing_id) DO UPDATE
SET sending = counter.sending + excluded.sending,
    retrying = counter.retrying + excluded.retrying,
    sent = counter.sent + excluded.sent,
    failed = counter.failed + excluded.failed,
    unknown = counter.unknown + excluded.unknown,
    expired = counter.expired + excluded.expired,
    cancelled = counter.cancelled + excluded.cancelled
