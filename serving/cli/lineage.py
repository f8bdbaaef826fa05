"""`radloop explain`, `touched`, `card` and `replay`: governance follows any answer back, and any model forward."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radloop.domain.errors import RadloopError, Rejected
from serving.cli import standing
from serving.cli.desk import Desk, HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import WIDTH_OF_A_PIPE, print_json, print_table, say

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from flows.chain import Node
    from flows.house import House
    from flows.lineage import Taught, Touch
    from flows.replaying import Replay, Replayed
    from radloop.ledger.lineage import Touched

MOST_ALIKE: Final = 12
"""So many instances or patients are written out on a terminal; JSON has them all."""


class CardFormat(StrEnum):
    """How a card is written."""

    MD = "md"
    HTML = "html"
    PDF = "pdf"


def explain(
    name: Annotated[
        str,
        typer.Argument(
            help="A result's id. Or a study version's, a Study Instance UID or an object's identifier (an SOP "
            "Instance UID, an MSH-10): their results.",
            metavar="RESULT",
        ),
    ],
    *,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Draw the chain into this file too.", metavar="FILE")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Follow an answer back: images, checks, model, training, gates, approvals; and on: objects, verdicts."""
    from flows.lineage import explain as explained

    with _house(open_desk(home)) as house:
        nodes = explained(house, name)
    if svg is not None:
        _draw(nodes, svg)
    if as_json:
        print_json([_row(node) for node in nodes])
    else:
        for node in nodes:
            _print_tree(node)


def _draw(nodes: "Sequence[Node]", file: Path) -> None:
    from flows.picture import picture_of

    if len(nodes) != 1:
        raise Rejected("these are several results, draw one: " + ", ".join(node.id for node in nodes))
    file.write_text(picture_of(nodes[0]), encoding="utf-8")


def _row(node: "Node") -> dict[str, object]:
    return {
        "kind": node.kind,
        "id": node.id or None,
        "title": node.title,
        "digest": node.digest,
        "at": node.at.isoformat() if node.at else None,
        "by": node.by,
        "on_record": node.on_record,
        "facts": dict(node.facts),
        "children": [_row(child) for child in node.children],
    }


def _print_tree(node: "Node") -> None:
    from rich.console import Console
    from rich.tree import Tree

    tree = Tree(_label(node), guide_style="dim")
    _grow(tree, node)
    console = Console()
    # A pipe has no width of its own: a digest shall not be broken there.
    (console if console.is_terminal else Console(width=WIDTH_OF_A_PIPE)).print(tree)


def _grow(tree: "Tree", node: "Node") -> None:
    for child in _shown(node.children):
        _grow(tree.add(_label(child)), child)


def _shown(children: "Sequence[Node]") -> "Iterator[Node]":
    from flows.chain import gap

    alike = [child for child in children if child.kind == "instance"]
    yield from alike[:MOST_ALIKE]
    if len(alike) > MOST_ALIKE:
        yield gap("instance", f"and {len(alike) - MOST_ALIKE} more (--json lists them)")
    yield from (child for child in children if child.kind != "instance")


def _label(node: "Node") -> "Text":
    from rich.text import Text

    if not node.on_record:
        return Text.assemble((node.kind, "dim bold"), " ", (node.title, "dim italic"))
    head = Text.assemble((node.kind, "bold cyan"), " ", (node.title, "bold"), " ", (node.id, "dim"))
    by = [f"by {node.by}"] if node.by else []
    at = [node.at.isoformat(timespec="seconds")] if node.at else []
    lines = [f"SHA-256 {node.digest}"] if node.digest else []
    lines += [" ".join([*at, *by])] if at or by else []
    lines += [f"{name}: {value}" for name, value in node.facts]
    return Text("\n").join([head, *(Text(f"  {line}") for line in lines)])


def touched(
    version: Annotated[str, typer.Argument(help="A model and its version.", metavar="MODEL@VERSION")],
    *,
    identifiers: Annotated[bool, typer.Option("--identifiers", help="Study Instance UIDs too: patient data.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List every study version that a model version read, and whose images it learned from (surrogate ids)."""
    from flows.lineage import touched as what_it_touched

    with _house(open_desk(home)) as house:
        touch = what_it_touched(house, version)
    if as_json:
        print_json(_touch_row(touch, identifiers=identifiers))
    else:
        _print_touch(touch, identifiers=identifiers)


def _touch_row(touch: "Touch", *, identifiers: bool) -> dict[str, object]:
    return {
        "model": touch.version.name,
        "version": touch.version.version,
        "digest": touch.version.digest,
        "read": [_reading_row(row, identifiers=identifiers) for row in touch.readings],
        "learned_from": [_taught_row(one) for one in touch.taught],
        "patients": list(touch.patients),
    }


def _reading_row(row: "Touched", *, identifiers: bool) -> dict[str, object]:
    return {
        "result": row.result_id,
        "study_version": row.version_id,
        "number": row.number,
        "state": row.state,
        "status": row.status,
        "standing": row.standing,
        "at": row.at.isoformat(timespec="seconds"),
        **({"study_uid": row.study_uid} if identifiers else {}),
    }


def _taught_row(one: "Taught") -> dict[str, object]:
    return {
        "training_run": one.run.id,
        "digest": one.run.digest,
        "cohort": one.cohort.id,
        "cohort_digest": one.cohort.digest,
        "copies": [
            {"copy": copy.copy_id, "patient": copy.patient, "split": copy.split, "kept": copy.kept}
            for copy in one.copies
        ],
    }


def _print_touch(touch: "Touch", *, identifiers: bool) -> None:
    rows = [_reading_row(row, identifiers=identifiers) for row in touch.readings]
    version = touch.version
    title = f"{version.name} {version.version} ({version.digest[:12]}) read {len(rows)} study versions"
    columns = ["result", "study version", "v", "state", "status", "stood as", "at"]
    print_table(title, [*columns, *(["study"] if identifiers else [])], (tuple(row.values()) for row in rows))
    if not touch.taught:
        say("no training run is on record: nothing here taught it")
        return
    taught = ("training run", "cohort", "images", "patients", "deleted since")
    print_table("It learned from", taught, (_taught_line(one) for one in touch.taught))
    more = len(touch.patients) - MOST_ALIKE
    also = f", and {more} more (--json lists them)" if more > 0 else ""
    say(f"patients: {', '.join(touch.patients[:MOST_ALIKE])}{also}")


def _taught_line(one: "Taught") -> tuple[object, ...]:
    patients = {copy.patient for copy in one.copies}
    return one.run.id, one.cohort.id, len(one.copies), len(patients), sum(not copy.kept for copy in one.copies)


def card(
    version: Annotated[str, typer.Argument(help="A model and its version.", metavar="MODEL@VERSION")],
    *,
    format_: Annotated[CardFormat, typer.Option("--format", help="How it is written.")] = CardFormat.MD,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Into this file.", metavar="FILE")] = None,
    home: HomeOption = None,
) -> None:
    """Render a model version's card from the record: use, standing, training, metrics, figures, limits."""
    from serving.inference.lean import import_networks

    if output is None and format_ is CardFormat.PDF:
        raise Rejected("a PDF is no text for a terminal: name a file with -o")
    import_networks()  # whole, MONAI takes seconds to import
    from flows.carding import FORMATS, card_of

    with _house(open_desk(home)) as house:
        written = FORMATS[format_](card_of(house, version))
    if output is None:
        say(written.decode())
    else:
        output.write_bytes(written)


def replay(
    study: Annotated[
        str | None,
        typer.Argument(help="A study version's id, a Study Instance UID (its newest version), or a result's id."),
    ] = None,
    *,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Instead: have this version read stored studies.", metavar="MODEL@VERSION"),
    ] = None,
    days: Annotated[float, typer.Option("--days", help="With --model: studies of so many days.", min=0.0)] = 7.0,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """Compute a past answer again from the record: exit code 1 where it differs by more than 1e-4.

    With --model: have a version read stored studies silently, and compare it with the champion.
    """
    if (study is None) == (model is None):
        raise Rejected("name a study to compute its answer again, or --model to have a version read many")
    if model is not None:
        standing.replay(model=model, days=days, as_json=as_json, token=token, home=home)
    elif study is not None:
        _replay_study(open_desk(home, token), study, as_json=as_json)


def _replay_study(desk: Desk, study: str, *, as_json: bool) -> None:
    from serving.inference.lean import import_networks

    import_networks()  # whole, MONAI takes seconds to import
    from flows.replaying import replay_study

    actor = desk.actor()
    with _house(desk) as house:
        again = replay_study(house, study, actor.name)
    if as_json:
        print_json(_replay_row(again))
    else:
        _print_replay(again)
    if again.differs:
        raise RadloopError("the answer is not the one on record")


def _replay_row(replay: "Replay") -> dict[str, object]:
    return {
        "study_version": replay.version.id,
        "forgotten_at": replay.forgotten_at.isoformat() if replay.forgotten_at else None,
        "results": [_replayed_row(one) for one in replay.results],
    }


def _replayed_row(one: "Replayed") -> dict[str, object]:
    result = one.result
    return {
        "result": result.id,
        "model": result.model.name,
        "version": result.model.version,
        "digest": result.model.digest,
        "status": result.status,
        "same": one.same,
        "findings": [
            {"target": c.target, "before": c.before, "after": c.after, "same": c.same, "image": c.image_after}
            for c in one.compared
        ],
        "on_record": [{"target": f.target, "probability": f.probability} for f in result.findings],
        "gone": list(one.gone),
        "unread": dict(one.unread),
        "notes": list(one.notes),
    }


def _print_replay(replay: "Replay") -> None:
    for one in replay.results:
        model = one.result.model
        head = f"{one.result.id}: {model.name} {model.version}, digest {model.digest[:12]}"
        if one.compared:
            columns = ("finding", "on record", "computed now", "same to 1e-4", "image")
            lines = ((c.target, f"{c.before:.4f}", f"{c.after:.6f}", _yes(c.same), c.image_after) for c in one.compared)
            print_table(head, columns, lines)
        else:
            say(head)
            print_table(
                "On record", ("finding", "probability"), ((f.target, f.probability) for f in one.result.findings)
            )
        _say_gone(replay, one)


def _say_gone(replay: "Replay", one: "Replayed") -> None:
    if one.gone:
        when = f" at {replay.forgotten_at.isoformat(timespec='seconds')}" if replay.forgotten_at else ""
        why = f"deleted by the retention policy{when}" if replay.forgotten_at else "not in the store any more"
        say(f"cannot be computed again: the pixels of {len(one.gone)} images are {why}: {', '.join(one.gone)}")
    for image, reason in one.unread:
        say(f"{image} was not read: {reason}")
    for note in one.notes:
        say(f"note: {note}")


def _yes(same: bool) -> str:  # noqa: FBT001 - a word for a cell
    return "yes" if same else "NO"


@contextmanager
def _house(desk: Desk) -> "Iterator[House]":
    from flows.house import open_house

    house = open_house(desk.settings)
    try:
        yield house
    finally:
        asyncio.run(house.http.aclose())
        house.ledger.close()
