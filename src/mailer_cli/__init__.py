"""mailer: text messages to clients in their own local time, through an HTTP message service."""
