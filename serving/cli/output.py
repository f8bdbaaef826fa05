"""Printing: JSON for programs, tables for people, errors on stderr."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

import typer

WIDTH_OF_A_PIPE: Final = 140
MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?\+00:00")


def print_json(data: object) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout; no value is read as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(shown(cell)) for cell in row] for row in rows]
    if not cells:
        say(f"{title}: none")
        return
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for column in columns:
        # An id is copied from here into the next command: it stays in one piece.
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for row in cells:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDTH_OF_A_PIPE)
    console.print(table)


def shown(value: object) -> str:
    """A value as a person reads it: nothing for None, a moment (ISO 8601, UTC) to the second."""
    found = MOMENT.fullmatch(text := "" if value is None else str(value))
    return f"{found[1]} {found[2]}" if found else text


def say(text: str) -> None:
    """A line for a person."""
    typer.echo(text)


def complain(text: str) -> None:
    """A line on stderr."""
    typer.echo(f"radloop: {text}", err=True)
