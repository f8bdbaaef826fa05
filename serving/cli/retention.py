"""`radloop retain`, `radloop hold` and `radloop keys retire`: what is deleted, when, and what never is."""

from typing import TYPE_CHECKING, Annotated

import typer

from radloop.domain.errors import IntegrityError, Rejected, SettingsError
from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say
from serving.cli.verdicts import at_home

if TYPE_CHECKING:
    from flows.retain import Done, Due, Plan
    from radloop.ledger.holds import Hold

app = typer.Typer(help="Legal holds: studies of which nothing is deleted by policy.", no_args_is_help=True)

SHOWN = 50
WhyOption = Annotated[str, typer.Option("--why", help="The reason, without a patient's name; kept in the ledger only.")]


def retain(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go and what is kept; delete nothing.")] = (
        False
    ),
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Delete what the retention policy says is due. A policy that nobody has seen a dry run of deletes nothing."""
    from flows import retain as retaining

    with at_home(open_desk(home, token)) as (house, actor):
        if dry_run:
            plan = retaining.preview(house, actor)
            return print_json(_plan(plan)) if as_json else _say_plan(plan)
        done = retaining.retain(house, actor)
    return print_json(_done(done)) if as_json else _say_done(done)


@app.command("set")
def set_hold(
    study: Annotated[
        str | None, typer.Argument(help="Our id of a study, or of one of its versions.", metavar="STUDY")
    ] = None,
    *,
    why: WhyOption,
    accession: Annotated[str | None, typer.Option("--accession", help="Instead: the study's accession number.")] = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Hold a study: no policy deletes anything of it until the hold is lifted."""
    from flows import holds

    if (study is None) == (accession is None):
        raise SettingsError("name the study, either by our id or by --accession")
    with at_home(open_desk(home, token)) as (house, actor):
        named = (study,) if study is not None else holds.accession(house, accession or "")
        placed = [holds.place(house, one, actor, why) for one in named]
    if as_json:
        print_json([{**_hold(one.hold), "gone": one.gone} for one in placed])
        return
    for one in placed:
        say(f"{one.hold.id}: {one.hold.study_id} is held")
        if one.gone:
            say(f"  {one.gone} stored objects of it had been deleted before, or were being deleted")


@app.command("lift")
def lift_hold(
    hold_id: Annotated[str, typer.Argument(help="Id of the hold.", metavar="ID")],
    *,
    why: WhyOption,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Lift a hold: the policy counts again, from the sign-off on."""
    from flows import holds

    with at_home(open_desk(home, token)) as (house, actor):
        hold = holds.lift(house, hold_id, actor, why)
    say(f"{hold.id}: {hold.study_id} is not held by it any more")


@app.command("list")
def list_holds(*, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List every hold, those that stand first."""
    from flows import holds

    with open_desk(home).reading() as conn:
        rows = [_hold(one) for one in holds.holds(conn)]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "study", "why", "by", "at", "lifted", "lifted by", "why lifted")
        print_table("Legal holds", columns, (tuple(row.values()) for row in rows))


def retire_keys(*, token: TokenOption = None, home: HomeOption = None) -> None:
    """Destroy every old key, once no object needs it: what was deleted cannot be opened anywhere any more.

    Copies of the store of before become useless with them: make a backup afterwards.
    """
    from radloop.store.keycopy import alone

    desk = open_desk(home, token)
    desk.actor()
    done = desk.store.rewrap_all()
    if done.broken:
        raise IntegrityError(f"{done.broken} objects could not be opened with the keys at hand: no key was destroyed")
    current, old = desk.keyring.current.version, desk.keyring.versions[:-1]
    if not old:
        raise Rejected("there is no old key: `radloop keys rotate` makes a new one first")
    with alone(desk.settings.keys_path):
        for version in old:
            # The record first: a key that is gone without a word is worse than a word too many.
            with desk.changing() as change:
                change.record("keys.destroy", "key", f"kek-{version}")
            desk.store.retire(version)
    say(f"destroyed: {', '.join(f'kek-{version:04d}' for version in old)}; in use: kek-{current:04d}")
    say("backups made before now cannot be opened without the old keys: make one, and let the old ones go")


def _plan(plan: "Plan") -> dict[str, object]:
    return {
        "policy": {
            "pictures_days": plan.policy.pictures_days,
            "reports_days": plan.policy.reports_days,
            "keep_for_audits": plan.policy.keep_for_audits,
            "digest": plan.policy.digest,
        },
        "going": [_due(one) for one in plan.going],
        "kept": [{**_due(one), "kept_by": list(one.kept_by)} for one in plan.kept],
        "copies": dict(plan.copies),
    }


def _due(one: "Due") -> dict[str, object]:
    return {
        "version": one.version_id,
        "part": one.part,
        "signed_at": one.signed_at.isoformat(),
        "objects": one.gone.objects,
        "bytes": one.gone.size,
    }


def _say_plan(plan: "Plan") -> None:
    if not plan.policy.pictures_days and not plan.policy.reports_days:
        say("[retention] sets no time: everything is kept")
    columns = ("version", "part", "signed", "objects", "bytes")
    print_table("Would go", columns, (tuple(_due(one).values()) for one in plan.going[:SHOWN]))
    kept = ((*_due(one).values(), ", ".join(one.kept_by)) for one in plan.kept[:SHOWN])
    print_table("Due, and kept all the same", (*columns, "because of"), kept)
    more = max(len(plan.going), len(plan.kept)) > SHOWN
    size, copies = sum(one.gone.size for one in plan.going), sum(plan.copies.values())
    say(
        f"{len(plan.going)} would go ({size} bytes), {len(plan.kept)} are kept" + ("; --json lists all" if more else "")
    )
    say(f"{copies} training copies whose consent was withdrawn would go")
    say(
        f"nothing was deleted. `radloop retain` and the runner obey this policy from now on ({plan.policy.digest[:12]})"
    )


def _done(done: "Done") -> dict[str, object]:
    return {
        "versions": {part.value: number for part, number in done.versions.items()},
        "objects": done.gone.objects,
        "bytes": done.gone.size,
        "copies": done.copies,
    }


def _say_done(done: "Done") -> None:
    for part, number in done.versions.items():
        say(f"{part.value.lower()} of {number} study versions deleted")
    say(f"{done.gone.objects} stored objects ({done.gone.size} bytes) and {done.copies} training copies deleted")


def _hold(one: "Hold") -> dict[str, object]:
    return {
        "id": one.id,
        "study": one.study_id,
        "why": one.why,
        "actor": one.actor,
        "at": one.at.isoformat(),
        "lifted_at": one.lifted_at.isoformat() if one.lifted_at else None,
        "lifted_by": one.lifted_by,
        "lifted_why": one.lifted_why,
    }
