"""`radloop alarms`: what moved on which scanner, and what a person does about it. `radloop watch`: look now."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.ids import utc_now
from radloop.domain.watching import AlarmState, Choice
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.moments import since as moment
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from flows.house import House
    from radloop.domain.watching import Alarm, Notice

app = typer.Typer(help="What moved on live traffic; acknowledge, shadow, retrain, close.")
AlarmArgument = Annotated[str, typer.Argument(help="Id, as `radloop alarms` shows it.", metavar="ALARM")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the record; no patient data.", min=1)]
AllOption = Annotated[bool, typer.Option("--all", help="Closed ones too.")]
STILL = (AlarmState.OPEN, AlarmState.ACKNOWLEDGED)
CHOICES = (
    ("acknowledge it", 'radloop alarms acknowledge {id} --why "..."'),
    ("extend the baseline (another person approves)", 'radloop baseline extend --alarm {id} --why "..."'),
    ("put the scanner into the shadow", 'radloop alarms shadow {id} --why "..."'),
    ("retrain", 'radloop alarms retrain {id} --why "...", then radloop retrain {model}'),
    ("close it", 'radloop alarms close {id} --why "..."'),
)


@app.callback(invoke_without_command=True)
def alarms(context: typer.Context, *, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """What moved on live traffic; acknowledge, shadow, retrain, close."""
    if context.invoked_subcommand is None:
        list_alarms(as_json=as_json, home=home)


@app.command("list")
def list_alarms(*, every: AllOption = False, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the alarms that are not closed, the newest first."""
    from radloop.ledger import alarms as rows

    with open_desk(home).reading() as conn:
        found = rows.known(conn, tuple(AlarmState) if every else STILL)
    if as_json:
        print_json([_row(alarm) for alarm in found])
        return
    columns = ("id", "state", "suite", "model", "cause", "since", "studies", "last seen")
    print_table("Alarms", columns, (_line(alarm) for alarm in found))


@app.command()
def show(alarm: AlarmArgument, *, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Everything about an alarm: cause, since when, first study, statistic, studies, who was told, what can be done."""
    from radloop.ledger import alarms as rows
    from radloop.ledger import notices

    desk = open_desk(home)
    with desk.reading() as conn:
        found, studies = rows.get(conn, alarm), rows.studies_of(conn, alarm)
        told = notices.of_alarm(conn, alarm)
    pages = desk.settings.data_docs_path / "index.html"
    if as_json:
        extra = {"study_versions": list(studies), "notices": [_notice_row(one) for one in told]}
        print_json({**_row(found), **extra, "data_docs": str(pages)})
        return
    rows_of = [(name.replace("_", " "), value) for name, value in _row(found).items()]
    told_by = "; ".join(f"{one.channel} {one.state}" for one in told) or "nobody: [notify] names no channel"
    print_table(found.id, ("", ""), [*rows_of, ("told", told_by), ("data docs", pages)])
    if found.state is not AlarmState.CLOSED:
        options = ((what, how.format(id=found.id, model=found.cause.model or "MODEL")) for what, how in CHOICES)
        print_table("What can be done", ("", ""), options)


@app.command()
def acknowledge(
    alarm: AlarmArgument,
    *,
    why: WhyOption,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Say why it may be lived with. It blocks no promotion any more, and takes up what else is seen of its cause."""
    _decide(open_desk(home, token), alarm, Choice.ACKNOWLEDGE, why, as_json=as_json)


@app.command()
def retrain(
    alarm: AlarmArgument,
    *,
    why: WhyOption,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Say that the model shall learn what moved: acknowledged with that. `radloop retrain MODEL` trains it."""
    _decide(open_desk(home, token), alarm, Choice.RETRAIN, why, as_json=as_json)


@app.command()
def close(
    alarm: AlarmArgument,
    *,
    why: WhyOption,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Say that its cause is over. Seen again, it is a new alarm."""
    _decide(open_desk(home, token), alarm, Choice.CLOSE, why, as_json=as_json)


@app.command()
def shadow(
    alarm: AlarmArgument,
    *,
    why: WhyOption,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """From now on have its scanner's studies read, but show and send nobody the answers."""
    from flows.alarms import shadow as work

    desk = open_desk(home, token)
    actor = desk.actor()
    with house_of(desk) as house:
        _told(work(house, alarm, actor.name, why), as_json=as_json)


@app.command()
def unshadow(
    alarm: AlarmArgument,
    *,
    why: WhyOption,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Show the answers on new studies of its scanner again."""
    from flows.alarms import unshadow as work

    desk = open_desk(home, token)
    actor = desk.actor()
    with house_of(desk) as house:
        _told(work(house, alarm, actor.name, why), as_json=as_json)


def watch(
    *,
    back: Annotated[str, typer.Option("--since", help="1d, 12h, 30m, or a time.")] = "1d",
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Hold the window from then until now against every suite, now; an alarm per cause. Takes some seconds."""
    from flows import watch as watching

    now = utc_now()
    desk = open_desk(home, token)
    desk.actor()
    with house_of(desk) as house:
        outcomes = watching.watch(house, now - moment(back, now))
    rows = [(one.suite, one.check, one.outcome, one.rows, one.unexpected, one.detail) for one in outcomes]
    columns = ("suite", "check", "outcome", "rows", "against", "detail")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    print_table("Watched", columns, rows)
    say(f"{watching.summary(outcomes)}; pages: {desk.settings.data_docs_path / 'index.html'}")


@contextmanager
def house_of(desk: Desk) -> "Iterator[House]":
    """The home of a desk, open."""
    from flows.house import open_house

    house = open_house(desk.settings)
    try:
        yield house
    finally:
        house.ledger.close()


def _decide(desk: Desk, alarm: str, choice: Choice, why: str, *, as_json: bool) -> None:
    from flows.alarms import decide

    actor = desk.actor()
    with house_of(desk) as house:
        _told(decide(house, alarm, choice, actor.name, why), as_json=as_json)


def _told(alarm: "Alarm", *, as_json: bool) -> None:
    if as_json:
        print_json(_row(alarm))
    else:
        say(f"{alarm.id} is {alarm.state}: {alarm.cause.words}")


def _row(alarm: "Alarm") -> dict[str, object]:
    cause, evidence = alarm.cause, alarm.evidence
    return {
        "id": alarm.id,
        "state": alarm.state,
        "suite": cause.suite,
        "check": cause.check,
        "model": cause.model or None,
        "site": cause.site,
        "device": cause.device,
        "cause": cause.words,
        "since": alarm.since.isoformat(),
        "first_study": alarm.first_version,
        "studies": alarm.studies,
        "statistic": evidence.statistic,
        "value": evidence.value,
        "p": evidence.p,
        "n": evidence.n,
        "m": evidence.m,
        "smallest_shift": evidence.smallest_shift,
        "opened_at": alarm.opened_at.isoformat(),
        "last_seen": alarm.last_seen.isoformat(),
        "choice": alarm.choice,
        "who": alarm.who,
        "why": alarm.why,
    }


def _line(alarm: "Alarm") -> tuple[object, ...]:
    since, seen = alarm.since.isoformat(), alarm.last_seen.isoformat()
    cause = alarm.cause
    return alarm.id, alarm.state, cause.suite, cause.model or "all", cause.words, since, alarm.studies, seen


def _notice_row(notice: "Notice") -> dict[str, object]:
    return {
        "channel": notice.channel,
        "state": notice.state,
        "attempts": notice.attempts,
        "sent_at": notice.sent_at.isoformat() if notice.sent_at else None,
        "error": notice.error,
    }
