-- Whether messages of a mailing may be tried again; asked under the lock of `purged_lock`, so that it stays so until
-- the transaction ends. Of one that was cancelled, nobody would look after them any more.
SELECT state <> 'cancelled' FROM mailing WHERE id = %(mailing_id)s
