"""What a next release could add: a column, filled for what is there; an index; a condition."""

from mailer_cli.database import changes

revision = "2001"
down_revision = "0001"
works_with = "0001"


def upgrade() -> None:
    changes.add_column("message", "channel text DEFAULT 'sms'")
    changes.add_index("message_channel", "ON message (channel) WHERE channel <> 'sms'")
    changes.add_check("message", "message_channel_known", "channel IN ('sms', 'push')")
    changes.add_column("message", "length smallint")
    changes.backfill(
        "UPDATE message SET length = length(phone) WHERE (shard, mailing_id, client_id) IN ("
        " SELECT shard, mailing_id, client_id FROM message WHERE length IS NULL AND status = 'sent'"
        " LIMIT 20000 FOR UPDATE SKIP LOCKED)"
    )
