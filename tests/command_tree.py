"""Every command there is, as its words."""

from __future__ import annotations


def commands() -> list[tuple[str, ...]]:
    """Return the words of each command, without `mailer`."""
    import typer

    from mailer_cli.cli.app import assemble

    found: list[tuple[str, ...]] = []

    def walk(command: object, path: tuple[str, ...]) -> None:
        below = getattr(command, "commands", None)
        if below is None:
            found.append(path)
            return
        for name, each in below.items():
            walk(each, (*path, name))

    walk(typer.main.get_command(assemble()), ())
    return found
