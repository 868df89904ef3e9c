"""What the release after that could take away."""

from alembic import op

revision = "2002"
down_revision = "2001"
works_with = "2002"


def upgrade() -> None:
    op.drop_column("message", "attempts")
