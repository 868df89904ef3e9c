-- Whoever is put to sleep in the middle of a transaction keeps its locks, and everybody behind them waits:
-- after ten seconds of silence the database ends it. For this transaction only, since behind a pooler the
-- session is somebody else's too.
SELECT set_config('idle_in_transaction_session_timeout', '10s', true)
