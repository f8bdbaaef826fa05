"""What ML teams do with model versions: list, shadow, compare, replay, approve, roll back."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.enums import ApprovalKind
from radloop.domain.errors import Rejected, SettingsError
from radloop.domain.ids import utc_now
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.moments import since as moment
from serving.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from flows.house import House
    from flows.shadow import Comparison
    from radloop.domain.learning import StandingChange
    from radloop.domain.records import ModelVersion

VersionArgument = Annotated[
    str, typer.Argument(help="Version or beginning of the digest after the name.", metavar="MODEL@VERSION")
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the record; no patient data.", min=1)]
models = typer.Typer(help="Model versions and their standing.", no_args_is_help=True)


@models.command("list")
def list_models(*, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the model versions: which one answers, and since when and by whom each stands as it does."""
    from radloop.ledger import models as versions
    from radloop.ledger import standing

    with open_desk(home).reading() as conn:
        steps = standing.newest(conn)
        rows = [_version_row(one, steps.get(one.digest)) for one in versions.known(conn)]
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "version", "standing", "qualification", "digest", "since", "by")
        print_table("Models", columns, (tuple(_short(row).values()) for row in rows))


@models.command("history")
def history(
    model: Annotated[str, typer.Argument(help="A model's name.")],
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Every step of every version of a model, the oldest first: when, from what to what, by whom and why."""
    from radloop.ledger import models as versions
    from radloop.ledger import standing

    with open_desk(home).reading() as conn:
        names = {one.digest: one.version for one in versions.known(conn)}
        rows = [_step_row(names[step.digest], step) for step in standing.history(conn, model)]
    if as_json:
        print_json(rows)
    else:
        columns = ("at", "version", "digest", "from", "to", "by", "why")
        print_table(model, columns, (tuple(_short(row).values()) for row in rows))


def shadow(
    version: VersionArgument,
    *,
    why: WhyOption = "to be compared on live traffic",
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Have a challenger answer live traffic silently: stored and compared, never sent."""
    from flows import standing

    desk = open_desk(home, token)
    actor = desk.actor()
    with _house(desk) as house:
        meant = _meant(desk, version)
        _show(standing.shadow(house, meant.digest, actor.name, why), as_json=as_json)


def approve(
    version: VersionArgument,
    *,
    kind: Annotated[
        str, typer.Option("--kind", help="promote (to answer) or qualify (to be called PRODUCT).")
    ] = "promote",
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Say yes to a version in your own name. The last yes that the change plan asks for brings it about."""
    from flows import standing

    asked = next((one for one in ApprovalKind if one == kind.upper()), None)
    if asked is None:
        raise SettingsError(f"--kind {kind}: expected promote or qualify")
    desk = open_desk(home, token)
    actor = desk.actor()
    with _house(desk) as house:
        meant = _meant(desk, version)
        _show(standing.approve(house, meant.digest, actor.name, asked), as_json=as_json)


def rollback(
    model: Annotated[str, typer.Argument(help="A model's name.")],
    *,
    why: WhyOption,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Have the previous champion answer again, at once. The one that answered until now is a challenger."""
    from flows import standing

    desk = open_desk(home, token)
    actor = desk.actor()
    with _house(desk) as house:
        done = standing.rollback(house, model, actor.name, why)
    rows = [_version_row(done.restored, None), _version_row(done.demoted, None)]
    if as_json:
        print_json({"restored": rows[0], "demoted": rows[1]})
    else:
        say(f"{model} {done.restored.version} answers again; {done.demoted.version} is {done.demoted.standing}")


def compare(
    version: VersionArgument,
    *,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Compare a version's silent answers with the champion's on the same studies."""
    from flows import shadow as shadows

    desk = open_desk(home)
    with _house(desk) as house:
        _print_comparison(shadows.comparison(house, _meant(desk, version)), version, as_json=as_json)


def replay(
    *,
    model: Annotated[str, typer.Option("--model", help="Which version reads.", metavar="MODEL@VERSION")],
    days: Annotated[float, typer.Option("--days", help="Studies received in so many days.", min=0.0)] = 7.0,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Have a version read stored studies silently, then compare. May be killed and repeated."""
    from flows import replay as replays

    desk = open_desk(home, token)
    actor = desk.actor()
    since = moment(f"{round(days * 24 * 60)}m", utc_now())
    with _house(desk) as house:
        done = asyncio.run(replays.replay(house, _meant(desk, model), since, actor.name))
    if not as_json:
        say(f"{done.due} studies were due, {done.answered} answered, {done.failed} failed")
    _print_comparison(done.comparison, model, as_json=as_json)
    if done.failed:
        raise Rejected(f"{done.failed} studies could not be read")


@contextmanager
def _house(desk: Desk) -> "Iterator[House]":
    from flows.house import open_house

    house = open_house(desk.settings)
    try:
        yield house
    finally:
        house.ledger.close()


def _meant(desk: Desk, text: str) -> "ModelVersion":
    """The version that MODEL@VERSION means.

    Raises:
        SettingsError: there is no @ in it.
        NotFound: there is no such version.
    """
    from radloop.ledger import models as versions

    name, at, which = text.partition("@")
    if not at:
        raise SettingsError(f"{text}: expected MODEL@VERSION, e.g. cxr_pneumonia@1.0.0")
    with desk.reading() as conn:
        return versions.find(conn, name, which)


def _show(version: "ModelVersion", *, as_json: bool) -> None:
    if as_json:
        print_json(_version_row(version, None))
    else:
        say(f"{version.name} {version.version} is {version.standing}, {version.qualification}")


def _version_row(version: "ModelVersion", step: "StandingChange | None") -> dict[str, object]:
    row: dict[str, object] = {
        "name": version.name,
        "version": version.version,
        "standing": version.standing,
        "qualification": version.qualification,
        "digest": version.digest,
    }
    return {**row, "since": step.at.isoformat() if step else None, "by": step.actor if step else None}


def _step_row(version: str, step: "StandingChange") -> dict[str, object]:
    return {
        "at": step.at.isoformat(),
        "version": version,
        "digest": step.digest,
        "before": step.before,
        "after": step.after,
        "by": step.actor,
        "why": step.why,
    }


def _short(row: dict[str, object]) -> dict[str, object]:
    """The row as people read it: the beginning of a digest names the version, times go to the second."""
    lengths = {"digest": 12, "since": 19, "at": 19}
    return {
        key: value[: lengths[key]] if key in lengths and isinstance(value, str) else value for key, value in row.items()
    }


def _print_comparison(rows: "tuple[Comparison, ...]", title: str, *, as_json: bool) -> None:
    if as_json:
        print_json([_comparison_row(row) for row in rows])
        return
    columns = ("target", "studies", "agreement", "difference", "disagree", "its median s", "champion's")
    print_table(f"{title} beside the champion", columns, (_comparison_line(row) for row in rows))


def _comparison_row(row: "Comparison") -> dict[str, object]:
    share = row.agreement
    return {
        "target": row.target or None,
        "studies": row.studies,
        "agreement": {"value": share.value if row.studies else None, "low": share.low, "high": share.high},
        "difference": row.difference,
        "disagreements": list(row.disagreements),
        "silent_seconds": row.silent_seconds,
        "champion_seconds": row.champion_seconds,
    }


def _comparison_line(row: "Comparison") -> tuple[object, ...]:
    return (
        row.target or "all",
        row.studies,
        str(row.agreement) if row.studies else "nothing to compare",
        None if row.difference is None else f"{row.difference:.4f}",
        "\n".join(row.disagreements),
        row.silent_seconds,
        row.champion_seconds,
    )
