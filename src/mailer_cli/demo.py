"""What `mailer demo` plays with: believable clients in every zone of 7… numbers, and three mailings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from dateutil.relativedelta import relativedelta

from mailer_cli import database, windows
from mailer_cli.database import Connection

# Clients per zone, roughly as people live there; the last are abroad with their old number.
ZONES = {
    "Europe/Kaliningrad": 10,
    "Europe/Moscow": 110,
    "Europe/Volgograd": 8,
    "Europe/Samara": 18,
    "Asia/Yekaterinburg": 34,
    "Asia/Omsk": 14,
    "Asia/Novosibirsk": 22,
    "Asia/Krasnoyarsk": 16,
    "Asia/Irkutsk": 14,
    "Asia/Yakutsk": 8,
    "Asia/Vladivostok": 12,
    "Asia/Magadan": 5,
    "Asia/Kamchatka": 5,
    "Asia/Almaty": 26,
    "Asia/Qyzylorda": 6,
    "Asia/Kathmandu": 3,
    "Australia/Lord_Howe": 2,
    "Pacific/Kiritimati": 2,
    "Pacific/Pago_Pago": 2,
    "America/St_Johns": 3,
}
OPERATORS = {
    "russian": (
        "901",
        "903",
        "905",
        "909",
        "910",
        "912",
        "916",
        "921",
        "925",
        "926",
        "950",
        "962",
        "977",
        "985",
        "999",
    ),
    "kazakh": ("700", "701", "702", "705", "707", "747", "771", "775", "777"),
}
KAZAKH_ZONES = frozenset({"Asia/Almaty", "Asia/Qyzylorda"})
TAGS = ("vip", "постоянный", "new", "dormant", None, None)


@dataclass(frozen=True, slots=True)
class DemoClient:
    """A client who does not exist."""

    phone: str
    operator_code: str
    tag: str | None
    timezone: str


@dataclass(frozen=True, slots=True)
class DemoMailing:
    """A mailing of the demonstration, with what it is to show."""

    shows: str
    text: str
    starts_at: datetime
    ends_at: datetime
    tags: tuple[str, ...] = ()


def clients(seed: int = 7) -> Iterator[DemoClient]:
    """Return the same few hundred clients each time."""
    chance = random.Random(seed)  # noqa: S311 - made-up people, the same each time
    seen: set[str] = set()
    for zone, number in ZONES.items():
        codes = OPERATORS["kazakh" if zone in KAZAKH_ZONES else "russian"]
        while number:
            code = chance.choice(codes)
            phone = f"7{code}{chance.randrange(10**7):07}"
            if phone not in seen:
                seen.add(phone)
                number -= 1  # noqa: PLW2901 - counts down what this zone still lacks
                yield DemoClient(phone, code, chance.choice(TAGS), zone)


def mailings(now: datetime) -> list[DemoMailing]:
    """Return three mailings around `now`: due everywhere, due in the east only, over everywhere."""
    from mailer_cli import localtime

    minute = now.astimezone(UTC).replace(tzinfo=None, second=0, microsecond=0)
    # In Yekaterinburg it is this late; further east it is later, so there the start has passed.
    east = now.astimezone(localtime.find_zone("Asia/Yekaterinburg")).replace(
        tzinfo=None, second=0, microsecond=0
    )
    return [
        DemoMailing(
            "due everywhere",
            "Весенняя распродажа: скидка 20% до воскресенья!",
            minute - relativedelta(days=1),
            minute + relativedelta(days=2),
        ),
        DemoMailing(
            "due from Yekaterinburg eastwards, later in the west",
            "Good morning! Your order is ready for collection.",
            east - relativedelta(minutes=30),
            east + relativedelta(hours=10),
        ),
        DemoMailing(
            "over before it was made",
            "Last chance, ends today.",
            minute - relativedelta(days=6),
            minute - relativedelta(days=3),
            tags=("vip",),
        ),
    ]


def prepare(connection: Connection) -> list[tuple[int, DemoMailing]]:
    """Add the clients, unless they are there, and three new mailings; return these with their ids."""
    people = list(clients())
    with database.transaction(connection):
        database.execute(
            connection,
            "demo_clients",
            phones=[c.phone for c in people],
            operator_codes=[c.operator_code for c in people],
            tags=[c.tag for c in people],
            timezones=[c.timezone for c in people],
        )
        now: datetime = database.fetch_value(connection, "now")
        made = [(_create(connection, mailing), mailing) for mailing in mailings(now)]
        windows.derive(connection, [mailing_id for mailing_id, _ in made])
    return made


def _create(connection: Connection, mailing: DemoMailing) -> int:
    created: int = database.fetch_value(
        connection,
        "demo_mailing",
        text=mailing.text,
        starts_at=mailing.starts_at,
        ends_at=mailing.ends_at,
        tags=list(mailing.tags),
    )
    return created
