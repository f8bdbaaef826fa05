"""`radloop golive`: one modality first, hourly figures, wider or stop."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import SettingsError
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from radloop.ledger.golive_figures import Figures

app = typer.Typer(help="Go live step by step: what is live, figures, widen, stop.", no_args_is_help=True)

WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the record; no patient data.")]
HoursOption = Annotated[int, typer.Option("--hours", help="Figures of this many hours.", min=1, max=24 * 31)]


@app.command()
def show(*, hours: HoursOption = 24, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show what is live, and the figures by modality and hour."""
    from flows import golive
    from radloop.domain.ids import utc_now
    from radloop.ledger import golive as rows
    from radloop.ledger import golive_figures

    with open_desk(home).reading() as conn:
        step = rows.in_force(conn)
        found = golive_figures.by_hour(conn, utc_now() - timedelta(hours=hours))
    if as_json:
        live = None if step is None else step.modalities
        print_json({"live": live, "said": golive.said(step), "hours": [_row(one) for one in found]})
        return
    say(golive.said(step))
    columns = ("modality", "hour", "studies", "answered", "15 s", "60 s", "errors", "urgent", "verdicts", "agreed")
    print_table("Figures", columns, (tuple(_row(one).values()) for one in found))


@app.command()
def widen(
    modalities: Annotated[list[str] | None, typer.Argument(help="E.g. DX CT.", metavar="MODALITY...")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every modality.")] = False,
    why: WhyOption,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Have further modalities answered aloud, beside those that are live."""
    from flows import golive

    if bool(modalities) == everything:
        raise SettingsError("expected modalities, or --all")
    desk = open_desk(home, token)
    say(golive.said(golive.widen(desk.ledger, desk.actor().name, why, modalities or None)))


@app.command()
def stop(*, why: WhyOption, token: TokenOption = None, home: HomeOption = None) -> None:
    """Silence every answer from here on, at once; studies are read and listed all the same."""
    from flows import golive

    desk = open_desk(home, token)
    say(golive.said(golive.stop(desk.ledger, desk.actor().name, why)))


def _row(one: "Figures") -> dict[str, object]:
    return {**asdict(one), "hour": one.hour.isoformat() if one.hour else None}
