"""Printing: JSON for programs, tables for people, errors on stderr."""

import json
from collections.abc import Iterable, Sequence

import typer

WIDTH_OF_A_PIPE = 140


def print_json(data: object) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout; no value is read as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDTH_OF_A_PIPE)
    console.print(table)


def say(text: str) -> None:
    """A line for a person."""
    typer.echo(text)


def complain(text: str) -> None:
    """A line on stderr."""
    typer.echo(f"radloop: {text}", err=True)
