"""The checks at the door: each remarks on what it guards against, and on nothing else."""

import json
import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from data_checks.at_door import Asked, Case, DoorCheck, Remarked, Stage, distance, door, remarks, warn
from data_checks.listing import DOOR, TRAINING, WINDOW, listing
from radloop.domain.acquired import Family, ImageGround, NoteOutcome, PixelFacts, Seen
from radloop.domain.records import Acquisition
from serving.cli.main import app

FACTS = PixelFacts(
    p1=0.01, p5=0.08, p25=0.4, p50=0.6, p75=0.7, p95=0.85, p99=0.9, clipped_low=0.01, clipped_high=0.001,
    entropy=7.2, noise=0.004, sharpness=0.26, border=0.0,
)  # fmt: skip
ROW = Acquisition(
    instance_id="in_1", version_id="sv_1", modality="CR", body_part="CHEST", view="PA", photometric="MONOCHROME2",
    kvp=110.0, bits_stored=12, spacing=0.35, rows=1024, columns=1024,
)  # fmt: skip
FAMILY = Family(
    name="plane", images=100, mean=(0.0, 0.0), inverted=(10.0, 0.0), precision=((1.0, 0.0), (0.0, 1.0)), reach=9.0,
    low={"sharpness": 0.18}, high={"clipped_high": 0.05, "clipped_low": 0.3},
)  # fmt: skip
GROUND = ImageGround(model="m", families=(FAMILY,))
ASKED = Asked(body_parts=("CHEST",), views=("PA", "AP"))


def at(*embedding: float, **facts: float) -> Case:
    """An image that lies there."""
    seen = Seen(instance_id="in_1", facts=replace(FACTS, **facts), embedding=embedding)
    return Case(row=ROW, asked=ASKED, seen=seen, ground=GROUND)


def said(case: Case, *stages: Stage) -> list[Remarked]:
    return list(remarks([check for check in door().values() if check.stage in (stages or Stage)], [case]))


def warned(case: Case) -> list[str]:
    found = said(case, Stage.PIXELS, Stage.EMBEDDING)
    assert all(one.remark.outcome is NoteOutcome.WARN for one in found)
    return [one.check for one in found]


def test_an_image_on_its_ground_passes_in_silence() -> None:
    assert said(at(1.0, 1.0)) == []


@pytest.mark.parametrize(
    ("check", "case"),
    [
        ("all_black", at(0, 0, p99=0.001, entropy=1.0)),
        ("constant", at(0, 0, entropy=0.1)),
        ("inverted", at(9, 0)),
        ("wrong_body_part", at(0, 9)),
        ("motion_blur", at(0, 0, sharpness=0.15)),
        ("clipped", at(0, 0, clipped_high=0.2)),
        ("clipped", at(0, 0, clipped_low=0.6)),
    ],
)
def test_each_check_warns_of_what_it_guards_against(check: str, case: Case) -> None:
    assert warned(case) == [check]


def test_the_dark_end_of_monochrome1_is_the_high_one() -> None:
    row = replace(ROW, photometric="MONOCHROME1")
    assert warned(replace(at(0, 0, p1=0.999, p99=1.0, entropy=1.0), row=row)) == ["all_black"]
    assert warned(replace(at(0, 0, p1=0.0, p99=0.001, entropy=1.0), row=row)) == []
    assert warned(replace(at(9, 0), row=row)) == ["wrong_photometric"]
    assert warned(replace(at(0, 0, clipped_high=0.2), row=row)) == []


def test_of_one_image_the_gravest_warning_is_heard_alone() -> None:
    assert warned(at(0, 9, entropy=0.1, sharpness=0.01, clipped_high=1.0)) == ["constant"]


def test_without_a_ground_only_what_needs_none_is_checked() -> None:
    assert warned(replace(at(0, 9, sharpness=0.0), ground=None)) == []
    assert warned(replace(at(0, 9, entropy=0.0), ground=None)) == ["constant"]


def test_an_image_is_held_against_the_family_that_it_is_most_like() -> None:
    far = replace(FAMILY, name="far", mean=(0.0, 100.0), inverted=(50.0, 100.0), low={"sharpness": 0.4})
    ground = ImageGround(model="m", families=(FAMILY, far))
    assert warned(replace(at(0, 99), ground=ground)) == ["motion_blur"]
    assert warned(replace(at(0, 1), ground=ground)) == []


@pytest.mark.parametrize(
    ("check", "changes", "outcome"),
    [
        ("body_part_named", {"body_part": " "}, NoteOutcome.NOT_APPLICABLE),
        ("view_named", {"view": ""}, NoteOutcome.NOT_APPLICABLE),
        ("bits", {"bits_stored": 1}, NoteOutcome.WARN),
        ("bits", {"bits_stored": None}, NoteOutcome.WARN),
        ("tube_voltage", {"kvp": 110_000.0}, NoteOutcome.WARN),
        ("pixel_size", {"spacing": 350.0}, NoteOutcome.WARN),
    ],
)
def test_headers_are_checked_before_anything_is_read(
    check: str, changes: dict[str, object], outcome: NoteOutcome
) -> None:
    row = replace(ROW, **changes)  # type: ignore[arg-type]
    (found,) = said(Case(row=row, asked=ASKED), Stage.HEADER)
    assert (found.check, found.remark.outcome, found.instance_id) == (check, outcome, "in_1")


@pytest.mark.parametrize("changes", [{"kvp": None}, {"kvp": 0.0}, {"spacing": None}, {"modality": "MR", "kvp": 1e6}])
def test_what_a_header_does_not_say_is_no_warning(changes: dict[str, object]) -> None:
    assert said(Case(row=replace(ROW, **changes), asked=ASKED), Stage.HEADER) == []  # type: ignore[arg-type]


def test_an_image_outside_the_card_is_told_as_not_applicable_in_the_cards_words() -> None:
    (found,) = said(Case(row=ROW, asked=ASKED, outside="view is not PA or AP"), Stage.HEADER)
    assert (found.check, found.remark.detail) == ("card", "view is not PA or AP")
    assert found.remark.outcome is NoteOutcome.NOT_APPLICABLE


def test_header_checks_of_a_study_take_less_than_five_milliseconds() -> None:
    checks = [check for check in door().values() if check.stage is Stage.HEADER]
    cases = [Case(row=replace(ROW, view=""), asked=ASKED)] * 30
    seconds = []
    for _ in range(20):
        begun = time.perf_counter()
        assert len(list(remarks(checks, cases))) == 30
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.005


def test_checks_stop_when_their_time_is_up() -> None:
    ticks = iter([0.0, 0.1, 0.2, 0.3])
    always = DoorCheck(
        name="x", turn=0, stage=Stage.HEADER, columns=(), guards="", threshold="", judge=lambda _: warn("always")
    )
    found = list(remarks([always], [Case(row=ROW)] * 10, clock=lambda: next(ticks)))
    assert len(found) == 2


def test_the_distance_is_mahalanobis_over_the_numbers_that_the_ground_knows() -> None:
    skewed = replace(FAMILY, precision=((2.0, 0.5), (0.5, 1.0)))
    assert distance(skewed, (1.0, 2.0, 77.0)) == pytest.approx(2 * 1 + 2 * 0.5 * 2 + 4)


def test_every_check_is_listed_once_with_what_it_guards() -> None:
    rows = listing()
    assert {row.place for row in rows} == {DOOR, WINDOW, TRAINING}
    assert len({(row.place, row.name) for row in rows}) == len(rows)
    assert all(row.guards and row.threshold and row.columns for row in rows)


def test_the_command_prints_every_check_with_where_it_runs() -> None:
    printed = CliRunner().invoke(app, ["checks", "--json"])
    assert printed.exit_code == 0
    rows = json.loads(printed.stdout)
    assert {row["name"] for row in rows} >= {*door(), "kvp"}
    assert set(rows[0]) == {"name", "place", "when", "columns", "guards", "threshold"}
    assert "motion_blur" in CliRunner().invoke(app, ["checks"]).stdout
