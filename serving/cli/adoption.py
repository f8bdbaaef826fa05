"""`radloop adoption`: whether the answers are used, by model and week."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.desk import HomeOption, JsonOption, open_desk
from serving.cli.output import print_json, print_table

if TYPE_CHECKING:
    from flows.adoption import Figures, Share


def adoption(
    *,
    weeks: Annotated[int, typer.Option("--weeks", help="Weeks up to this one.", min=1, max=53)] = 12,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show how much of what the models say is opened, how soon, agreed with and of use. Never by reader."""
    from zoneinfo import ZoneInfo

    from flows.adoption import measure
    from radloop.domain.ids import utc_now

    desk = open_desk(home)
    found = measure(desk.ledger, weeks, ZoneInfo(desk.settings.site.timezone), utc_now())
    if as_json:
        rows = {"models": list(map(_row, found.models)), "weeks": list(map(_row, found.weeks))}
        print_json({"since": found.since.isoformat(), **rows})
        return
    columns = ("model", "week", "shown", "opened", "median s", "90 % s", "agreed", "overrides", "useful")
    print_table(f"Adoption since {found.since}", columns, map(_cells, (*found.models, *found.weeks)))


def _row(one: "Figures") -> dict[str, object]:
    return {**asdict(one), "week": one.week.isoformat() if one.week else None, "overrides": one.overrides}


def _cells(one: "Figures") -> tuple[object, ...]:
    times = (None if value is None else f"{value:.0f}" for value in (one.median_seconds, one.p90_seconds))
    shares = (_said(one.opened), *times, _said(one.agreed), one.overrides, _said(one.useful))
    return (one.model, one.week or "all", one.shown, *shares)


def _said(share: "Share") -> str:
    """`80 % (70 to 87)`, of how many."""
    if share.value is None:
        return ""
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%}) of {share.among}"
