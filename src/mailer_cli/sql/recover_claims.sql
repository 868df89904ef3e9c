-- All of their messages are in doubt: nothing of them is to be started, or handed on when their lease lapses.
DELETE FROM claim WHERE shard = %(shard)s AND mailing_id = %(mailing_id)s
