import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from flows.chain import Node, walk
from flows.house import House
from flows.lineage import explain, touched
from flows.picture import picture_of
from models.bundles import MANIFEST
from radloop.domain.enums import DeliveryState, ObjectKind, Standing, Urgency
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.ids import utc_now
from radloop.domain.records import Result, StoredObject
from radloop.ledger import copies, deliveries, instances, objects
from radloop.pixels import split
from tests.flows import histories
from tests.flows.histories import Furnished, History


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    return histories.build(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def house(furnished: Furnished, tmp_path: Path) -> Iterator[House]:
    yield from histories.opened(furnished, tmp_path)


@pytest.fixture
def history(furnished: Furnished) -> History:
    return furnished.history


def sent(house: House, result: Result) -> StoredObject:
    """An SR of the result that the PACS took."""
    made = StoredObject(
        id="ob_1", result_id=result.id, kind=ObjectKind.SR, ordinal=0, identifier="2.25.77",
        media_type="application/dicom", blob=house.store.put(b"an SR"),
    )  # fmt: skip
    with house.ledger.write() as conn:
        objects.add(conn, made)
        deliveries.queue(conn, made, result.version_id, "pacs", Urgency.URGENT)
        (claimed,) = deliveries.claim(conn, "pacs", "test", utc_now(), utc_now(), 1)
        assert deliveries.accepted(conn, claimed.id, (), utc_now())
    return made


def of_kind(node: Node, kind: str) -> list[Node]:
    return [one for one in walk(node) if one.kind == kind]


def only(node: Node, kind: str) -> Node:
    (one,) = of_kind(node, kind)
    return one


def test_an_answer_is_followed_back_to_its_images_model_training_cohort_gates_and_approvals(
    house: House, history: History
) -> None:
    result = histories.answered(house, history.trained)
    (node,) = explain(house, result.id)
    with house.ledger.read() as conn:
        files = [house.store.get(one.blob.key) for one in instances.of_version(conn, result.version_id)]
    digests = [hashlib.sha256(split(file).dataset).hexdigest() for file in files]
    assert [one.digest for one in of_kind(node, "instance")] == digests
    model = only(node, "model version")
    assert model.digest == history.trained.digest
    assert dict(model.facts)["signature"].startswith("valid")
    assert len(dict(model.facts)["SHA-256 of models/model.safetensors"]) == 64
    run, cohort = only(node, "training run"), only(node, "cohort")
    assert (run.id, run.by, dict(run.facts)["git commit"]) == (history.run.id, "ml.kim", histories.COMMIT)
    assert (cohort.id, cohort.digest) == (history.cohort.id, history.cohort.digest)
    facts = dict(cohort.facts)
    assert facts["splits"] == "12 TEST, 6 TRAIN, 6 VALIDATION"
    assert facts["left out"] == "3 no consent"
    assert facts["readers were"] == "20 BLINDED, 4 SAW_AI"
    evaluation = only(node, "evaluation")
    assert evaluation.title.startswith("PASS, look 1")
    assert dict(of_kind(evaluation, "gate")[0].facts)["value"] == "0.012 (-0.021 to 0.044)"
    assert [one.by for one in of_kind(node, "approval")] == ["dr.ada", "dr.bob"]
    assert [one.title for one in of_kind(node, "standing")] == [
        "registered as CHALLENGER",
        "CHALLENGER to SHADOW",
        "SHADOW to CHAMPION",
    ]


def test_an_answer_is_followed_on_to_objects_deliveries_verdicts_and_sign_off(house: House, history: History) -> None:
    result = histories.answered(house, history.trained)
    made = sent(house, result)
    histories.read_by_people(house, result)
    (node,) = explain(house, "2.25.77")
    assert node.id == result.id
    assert only(node, "object").digest == made.blob.sha256
    delivery = only(node, "delivery")
    assert delivery.title == f"pacs: {DeliveryState.ACCEPTED}"
    assert delivery.at is not None
    assert only(node, "verdict").title == "REJECT tumour"
    assert dict(only(node, "sign-off").facts)["reader"] == "dr.lee"


def test_no_word_of_a_reader_and_no_patient_identifier_is_in_the_chain_or_its_picture(
    house: House, history: History
) -> None:
    result = histories.answered(house, history.trained)
    sent(house, result)
    histories.read_by_people(house, result)
    (node,) = explain(house, result.id)
    for text in (repr(node), picture_of(node)):
        assert "Secret" not in text
        assert "SECRET" not in text


def test_what_is_not_on_record_is_said(house: House, history: History) -> None:
    result = histories.answered(house, history.shipped)
    (node,) = explain(house, result.version_id)
    said = {one.kind: one.title for one in walk(node) if not one.on_record}
    assert said["training run"].startswith("shipped with radloop: trained by models.training")
    assert {"checks", "evaluation", "approval", "object", "verdict", "sign-off"} <= said.keys()
    assert "cohort" not in {one.kind for one in walk(node)}


def test_a_silent_answer_says_why_nothing_of_it_was_sent(house: House, history: History) -> None:
    result = histories.answered(house, replace(history.trained, standing=Standing.SHADOW))
    (node,) = explain(house, result.id)
    assert "SHADOW" in only(node, "object").title


@pytest.mark.parametrize("fault", ["a flipped bit", "no bundle"])
def test_a_bundle_that_cannot_be_trusted_is_said_and_stops_no_explanation(
    house: House, history: History, fault: str
) -> None:
    result = histories.answered(house, history.trained)
    folder = house.settings.models_path / history.trained.name / history.trained.digest
    if fault == "no bundle":
        folder.rename(folder.with_name("elsewhere"))
    else:
        data = bytearray((folder / MANIFEST).read_bytes())
        data[20] ^= 1
        (folder / MANIFEST).write_bytes(data)
    (node,) = explain(house, result.id)
    assert dict(only(node, "model version").facts)["signature"].startswith("NOT valid")


def test_the_picture_shows_every_node_that_is_no_gate(house: House, history: History) -> None:
    result = histories.answered(house, history.trained)
    (node,) = explain(house, result.id)
    said = "".join(ET.fromstring(picture_of(node)).itertext())
    for one in walk(node):
        if one.kind != "gate" and one.id:
            assert one.id in said
    assert "auc: PASS, 0.012" in "".join(said.split("\n")).replace("  ", " ")


def test_a_thousand_images_make_no_thousand_boxes(house: House, history: History) -> None:
    result = histories.answered(house, history.trained)
    (node,) = explain(house, result.id)
    study = node.children[0]
    many = replace(study, children=tuple(replace(study.children[0], id=f"in_{n}") for n in range(1000)))
    picture = picture_of(replace(node, children=(many,)))
    assert "and 994 more" in picture
    assert picture.count("INSTANCE") == 7


def test_a_name_that_means_nothing_is_not_found(house: House, history: History) -> None:
    with pytest.raises(NotFound):
        explain(house, "1.2.3.4.5")


def test_a_version_tells_what_it_read_and_of_whom_it_learned(house: House, history: History) -> None:
    result = histories.answered(house, history.trained)
    touch = touched(house, "brain_mr_tumour@1.1.0")
    assert [one.result_id for one in touch.readings] == [result.id]
    assert touch.patients == tuple(sorted(history.patients))
    assert [(one.run.id, one.cohort.id, len(one.copies)) for one in touch.taught] == [
        (history.run.id, history.cohort.id, 24)
    ]
    by_digest = touched(house, f"brain_mr_tumour@{history.trained.digest[:12]}")
    assert by_digest.version == touch.version
    shipped = touched(house, "brain_mr_tumour@1.0.0")
    assert (shipped.readings, shipped.taught, shipped.patients) == ((), (), ())


def test_a_copy_that_was_deleted_is_still_told(house: House, history: History) -> None:
    with house.ledger.write() as conn:
        copies.forget(conn, [history.cohort.members[0].copy_id])
    (taught,) = touched(house, "brain_mr_tumour@1.1.0").taught
    assert [copy.copy_id for copy in taught.copies if not copy.kept] == [history.cohort.members[0].copy_id]


@pytest.mark.parametrize("named", ["brain_mr_tumour", "@1.0.0", "brain_mr_tumour@", ""])
def test_a_version_without_both_parts_is_refused(house: House, named: str) -> None:
    with pytest.raises(Rejected):
        touched(house, named)
