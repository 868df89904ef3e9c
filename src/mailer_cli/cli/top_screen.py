"""How `mailer top` fills a terminal: lines of styled text, made for its width and height."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mailer_cli.cli import charts, columns, output
from mailer_cli.cli.top_words import Said
from mailer_cli.statuses import MailingState, Status

if TYPE_CHECKING:
    from mailer_cli.cli.live import Line, Piece
    from mailer_cli.overview import Standing

STATUSES = ("waiting", *(status.value for status in Status))
_SHORT = {"waiting": "wait", "sending": "send", "retrying": "retry", "failed": "fail", "unknown": "unkn"}
_SHORT |= {"expired": "expir", "cancelled": "canc"}
_WIDE = 120  # columns that have room for whole words and numbers
_HEADING = 9  # columns, with the gap
_MOST = {"running": 3, "next": 3, "errors": 3, "service": 4}  # lines, where there is little room
_ORDER = {MailingState.ACTIVE: 0, MailingState.PAUSED: 1, MailingState.DRAFT: 2}
_COLOURS = {"failed": "red", "unknown": "yellow", "expired": "yellow"}

Sections = Sequence[tuple[str, Sequence[Said]]]


def draw(title: str, sections: Sections, mailings: Sequence[Standing], width: int, height: int) -> list[Line]:
    """Lay it out: what matters first comes first, and the mailings get the lines that are left."""
    before, after = sections[:4], sections[4:]
    fixed = 4 + sum(_lines(heading, said) for heading, said in sections)  # title, gaps, the cursor's line
    room = max(3, height - fixed)
    table = _table(mailings, width, room)
    spare = max(0, height - fixed - len(table))
    lines: list[Line] = [[(columns.shortened(title, width) or "", "dim")]]
    for heading, said in before:
        most = _MOST.get(heading, 1) + (spare // 2 if heading == "next" else 0)
        lines += _section(heading, said, width, most)
    lines += [[], *table, []]
    for heading, said in after:
        most = _MOST.get(heading, 1) + (spare - spare // 2 if heading == "errors" else 0)
        lines += _section(heading, said, width, most)
    return lines[: max(1, height - 1)]


def _lines(heading: str, said: Sequence[Said]) -> int:
    return min(len(said), _MOST.get(heading, 1))


def _section(heading: str, said: Sequence[Said], width: int, most: int) -> Iterator[Line]:
    shown = said if len(said) <= most else said[:most]
    for number, (text, style) in enumerate(shown):
        name = heading if number == 0 else ""
        rest = len(said) - most
        more = f" (+{rest})" if rest > 0 and number == most - 1 else ""
        short = columns.shortened(output.printable(text), width - _HEADING - len(more)) or ""
        yield [(name.ljust(_HEADING), "bold"), (short + more, style)]


def _table(mailings: Sequence[Standing], width: int, room: int) -> list[Line]:
    if not mailings:
        return [[("no mailings yet; make one with `mailer mailing create`", "dim")]]
    ordered = sorted(
        mailings, key=lambda each: (_ORDER.get(MailingState(each.total.state), 3), -each.total.mailing)
    )
    rows_there = room - 1  # one line is the heading, one says how many more there are
    shown = ordered if len(ordered) <= rows_there else ordered[: max(1, rows_there - 1)]
    wide = width >= _WIDE
    rows = [_cells(each, wide=wide) for each in shown]
    heads = ["id", "state", "text", *(name if wide else _SHORT.get(name, name) for name in STATUSES), "done"]
    widths = [max(columns.measure(row[place][0]) for row in rows) for place in range(len(heads))]
    widths = [max(size, len(head)) for size, head in zip(widths, heads, strict=True)]
    widths[2] = max(0, width - sum(widths) + widths[2] - len(widths))
    lines = [_row([(head, "bold") for head in heads], widths)]
    lines += [_row(row, widths) for row in rows]
    if rest := len(ordered) - len(shown):
        lines.append([(f"and {rest} more; `mailer report` shows all", "dim")])
    return lines


def _row(cells: Sequence[Piece], widths: Sequence[int]) -> Line:
    return [
        (_padded(text, width, right=2 < place < len(widths) - 1) + " ", style)
        for place, ((text, style), width) in enumerate(zip(cells, widths, strict=True))
        if width
    ]


def _padded(text: str, width: int, *, right: bool) -> str:
    short = text if columns.measure(text) <= width else columns.shortened(text, width) or ""
    gap = " " * max(0, width - columns.measure(short))
    return gap + short if right else short + gap


def _cells(found: Standing, *, wide: bool) -> list[Piece]:
    total = found.total
    counts = {"waiting": total.waiting, **total.by_status()}
    about = "~" if found.estimated else ""
    bar = charts.progress(total.final, total.audience, 10 if wide else 4)
    return [
        (str(total.mailing), ""),
        (total.state, "" if total.state == MailingState.ACTIVE else "dim"),
        (output.printable(" ".join(total.text.split())), ""),
        *(
            (
                (about if name == "waiting" else "") + (str(number) if wide else columns.compact(number)),
                _COLOURS.get(name, "") if number else "dim",
            )
            for name, number in counts.items()
        ),
        (bar, ""),
    ]
