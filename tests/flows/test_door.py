"""The door on the way of triage: what is found is kept beside the result, remarks go out with it, and nothing stops."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset

from data_checks.at_door import Case, Remark, door
from flows import door as flow
from flows.house import House
from radloop.domain.acquired import NoteOutcome, PixelFacts, QualityNote, Seen
from radloop.domain.enums import ObjectKind, ResultStatus
from radloop.domain.records import InferenceAnswer
from radloop.ledger import acquisitions, embeddings, objects, pixel_facts, quality_notes, reports
from tests.flows import place
from tests.flows.conftest import announce_fake
from tests.flows.fake_inference import FakeInference, fake_inference
from tests.flows.test_triage import PEERS, newest, read_all, results_of

FACTS = PixelFacts(
    p1=0.01, p5=0.08, p25=0.4, p50=0.6, p75=0.7, p95=0.85, p99=0.9, clipped_low=0.01, clipped_high=0.001,
    entropy=7.25, noise=0.004, sharpness=0.25, border=0.0,
)  # fmt: skip
NOWHERE = tuple(float(n) for n in range(64))


def seeing(**changes: object) -> Callable[[InferenceAnswer], InferenceAnswer]:
    """Have inference say of its image that it lies far from everything."""

    def seen(answer: InferenceAnswer) -> InferenceAnswer:
        one = Seen(instance_id=answer.scores[0].instance_id or "", facts=FACTS, embedding=NOWHERE)
        return replace(answer, seen=(replace(one, **changes),))  # type: ignore[arg-type]

    return seen


def notes_of(house: House) -> tuple[QualityNote, ...]:
    with house.ledger.read() as conn:
        return quality_notes.of_version(conn, newest(house).id)


def test_facts_embedding_and_remark_stand_beside_the_result(house: House, inference: FakeInference) -> None:
    inference.spoil = seeing()
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["ANSWERED"]
    (result,) = results_of(house, newest(house))
    (note,) = notes_of(house)
    assert (note.check, note.outcome, note.result_id) == ("wrong_body_part", NoteOutcome.WARN, result.id)
    assert result.status is ResultStatus.OK
    with house.ledger.read() as conn:
        assert pixel_facts.of_instances(conn, [note.instance_id or ""]) == {note.instance_id: FACTS}
        assert embeddings.of_result(conn, result.id) == {note.instance_id: NOWHERE}
        (row,) = acquisitions.of_instances(conn, [note.instance_id or ""])
        shown = reports.study_row(conn, newest(house).study_uid)
    assert row.site == "modality"
    assert shown is not None
    assert [said["check"] for said in shown["results"][0]["quality"]] == ["wrong_body_part"]


def test_a_study_on_its_ground_leaves_no_note(house: House, inference: FakeInference) -> None:
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["ANSWERED"]
    assert notes_of(house) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"instance_id": "in_of_somebody_else"},
        {"embedding": NOWHERE[:-1]},
        {"facts": replace(FACTS, noise=1e400)},
    ],
)
def test_what_inference_found_is_left_out_where_it_is_not_sound(
    house: House, inference: FakeInference, changes: dict[str, object]
) -> None:
    inference.spoil = seeing(**changes)
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["ANSWERED"]
    (result,) = results_of(house, newest(house))
    with house.ledger.read() as conn:
        assert embeddings.of_result(conn, result.id) == {}
    assert notes_of(house) == ()


def test_a_warning_goes_out_with_the_report(tmp_path: Path) -> None:
    house = place.make_home(tmp_path / "hospital", more=PEERS)
    with fake_inference(house.store) as service:
        announce_fake(house, service)
        service.spoil = seeing()
        place.arrive(house, place.chest_study(1))
        assert read_all(house) == ["ANSWERED"]
    (result,) = results_of(house, newest(house))
    with house.ledger.read() as conn:
        made = {one.kind: house.store.get(one.blob.key) for one in objects.of_result(conn, result.id)}
    for kind in (ObjectKind.SR, ObjectKind.ORU):
        assert b"unlike any that the model knows" in made[kind]
    house.ledger.close()


def _raise(_: Case) -> Remark | None:
    raise ZeroDivisionError


def _sleep(_: Case) -> Remark | None:
    time.sleep(0.4)
    return None


@pytest.mark.parametrize("broken", [_raise, _sleep])
def test_a_check_that_fails_or_hangs_delays_nothing(
    house: House, inference: FakeInference, monkeypatch: pytest.MonkeyPatch, broken: Callable[[Case], Remark | None]
) -> None:
    spoilt = {name: replace(check, judge=broken) for name, check in door().items()}
    monkeypatch.setattr(flow, "door", lambda: spoilt)
    monkeypatch.setattr(flow, "PATIENCE", 0.05)
    inference.spoil = seeing()
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["ANSWERED"]
    assert len(results_of(house, newest(house))) == 1
    assert notes_of(house) == ()


def _lateral(of: Dataset, seed: int) -> Dataset:
    made = place.chest_study(seed, ViewPosition="LL", PatientID=of.PatientID, AccessionNumber=of.AccessionNumber)
    made.StudyInstanceUID = of.StudyInstanceUID
    return made


def test_a_remark_that_many_images_share_is_one_note(house: House, inference: FakeInference) -> None:
    first = place.chest_study(1)
    place.arrive(house, first, *(_lateral(first, seed) for seed in range(2, 6)))
    inference.spoil = lambda answer: replace(answer, seen=())
    assert read_all(house) == ["ANSWERED"]
    (note,) = notes_of(house)
    assert (note.check, note.instance_id, note.detail) == ("card", None, "4 images: view is not PA or AP")
