"""`radloop baseline`: what a model's traffic is held against. One person proposes, another approves."""

from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import SettingsError
from radloop.domain.ids import utc_now
from serving.cli.alarms import house_of
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.moments import since as moment
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from flows.baselines import Source
    from radloop.domain.watching import Baseline

app = typer.Typer(help="Reference distributions of models: propose, approve, extend.", no_args_is_help=True)
BaselineArgument = Annotated[str, typer.Argument(help="Id, as `radloop baseline list` shows it.", metavar="BASELINE")]
ModelArgument = Annotated[str, typer.Argument(help="A model's name.")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the record; no patient data.", min=1)]
CohortOption = Annotated[
    str | None, typer.Option("--cohort", help="Id or digest; else the one that the champion was trained on.")
]
SinceOption = Annotated[str | None, typer.Option("--since", help="Live traffic instead, from then on: 30d, or a time.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Live traffic until then; else until now.")]
SHORT = 12


@app.command()
def propose(
    model: ModelArgument,
    *,
    why: WhyOption,
    cohort: CohortOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Freeze a baseline from a cohort or a period. Nothing is held against it before another person approves."""
    from flows import baselines

    desk = open_desk(home, token)
    actor = desk.actor()
    source = _source(cohort, since, until)
    with house_of(desk) as house:
        _told(baselines.propose(house, model, source, actor.name, why), as_json=as_json)


@app.command()
def extend(
    model: Annotated[str | None, typer.Argument(help="A model's name; not needed with --alarm.")] = None,
    *,
    why: WhyOption,
    alarm: Annotated[
        str | None, typer.Option("--alarm", help="With what this alarm saw; the approval closes it.")
    ] = None,
    cohort: CohortOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Freeze the baseline in force with further rows; of an alarm: its scanner's new rows in place of the old ones."""
    from flows import baselines

    if (alarm is None) == (model is None):
        raise SettingsError("expected either a model or --alarm")
    desk = open_desk(home, token)
    actor = desk.actor()
    with house_of(desk) as house:
        if alarm is not None:
            made = baselines.extend_for(house, alarm, actor.name, why)
        else:
            made = baselines.extend(house, model or "", _source(cohort, since, until), actor.name, why)
        _told(made, as_json=as_json)


@app.command()
def approve(
    baseline: BaselineArgument, *, as_json: JsonOption = False, token: TokenOption = None, home: HomeOption = None
) -> None:
    """Put a proposal into force. Not by the person who proposed it; the alarm that it settles is closed."""
    from flows import baselines

    desk = open_desk(home, token)
    actor = desk.actor()
    with house_of(desk) as house:
        _told(baselines.approve(house, baseline, actor.name), as_json=as_json)


@app.command("list")
def list_baselines(
    model: Annotated[str | None, typer.Argument(help="Only this model's.")] = None,
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the baselines, the newest first: in force, proposed, replaced."""
    from radloop.ledger import baselines

    with open_desk(home).reading() as conn:
        found = baselines.known(conn, model)
    if as_json:
        print_json([_row(one) for one in found])
        return
    columns = ("id", "model", "state", "rows", "digest", "from", "extends", "asked by", "approved by", "why")
    print_table("Baselines", columns, (_line(one) for one in found))


@app.command()
def show(baseline: BaselineArgument, *, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Everything about a baseline: where its rows come from, which scanners they are of, who approved it."""
    from flows import baselines
    from radloop.ledger import baselines as rows

    desk = open_desk(home)
    with desk.reading() as conn:
        found = rows.get(conn, baseline)
    with house_of(desk) as house:
        scanners = baselines.scanners(house, found)
    if as_json:
        listed = [{"site": site, "device": device, "rows": count} for (site, device), count in scanners.items()]
        print_json({**_row(found), "scanners": listed})
        return
    print_table(found.id, ("", ""), [(name.replace("_", " "), value) for name, value in _row(found).items()])
    print_table("Its scanners", ("site", "device", "rows"), ((*place, count) for place, count in scanners.items()))


def _source(cohort: str | None, since: str | None, until: str | None) -> "Source":
    from flows.baselines import Source
    from radloop.ledger.windows import Span

    if since is None:
        if until is not None:
            raise SettingsError("--until: expected --since with it")
        return Source(cohort=cohort)
    if cohort is not None:
        raise SettingsError("expected either --cohort or --since")
    now = utc_now()
    return Source(span=Span(moment(since, now), moment(until, now) if until else now))


def _told(baseline: "Baseline", *, as_json: bool) -> None:
    if as_json:
        print_json(_row(baseline))
    else:
        say(f"{baseline.id} is {baseline.state}: {baseline.rows} rows of {baseline.model}, {baseline.digest[:SHORT]}")


def _row(one: "Baseline") -> dict[str, object]:
    return {
        "id": one.id,
        "model": one.model,
        "state": one.state,
        "rows": one.rows,
        "digest": one.digest,
        "extends": one.extends,
        "alarm": one.alarm_id,
        "cohort": one.cohort_id,
        "from": one.start.isoformat() if one.start else None,
        "to": one.end.isoformat() if one.end else None,
        "why": one.why,
        "asked_by": one.asked_by,
        "at": one.at.isoformat(),
        "approved_by": one.approved_by,
        "approved_at": one.approved_at.isoformat() if one.approved_at else None,
    }


def _line(one: "Baseline") -> tuple[object, ...]:
    period = f"{one.start:%Y-%m-%d %H:%M} to {one.end:%Y-%m-%d %H:%M}" if one.start and one.end else None
    origin = one.cohort_id or period or "-"
    people = (one.asked_by, one.approved_by)
    return one.id, one.model, one.state, one.rows, one.digest[:SHORT], origin, one.extends, *people, one.why
