"""`radloop checks`."""

from serving.cli.desk import JsonOption
from serving.cli.output import print_json, print_table


def checks(*, as_json: JsonOption = False) -> None:
    """List the data checks: what each guards, where it runs, what it looks at, from where on it speaks."""
    from dataclasses import asdict

    from data_checks.listing import listing

    rows = listing()
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ("check", "where", "when", "columns", "guards against / promises", "threshold")
    lines = ((row.name, row.place, row.when, ", ".join(row.columns), row.guards, row.threshold) for row in rows)
    print_table("Data checks", columns, lines)
