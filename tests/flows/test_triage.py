"""Triage over a real ledger and store, with an inference service on the real HTTP interface."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text, update

from flows import claims, encoding, inference, routing, triage
from flows.house import House
from integrations.objects.catalog import encoders
from radloop.domain.enums import ObjectKind, ResultStatus, Standing, StudyState, Urgency
from radloop.domain.errors import InvalidObject, RadloopError
from radloop.domain.ids import utc_now
from radloop.domain.records import Delivery, EncodedObject, Evidence, Result, StudyVersion
from radloop.ledger import deliveries, models, objects, quarantine, results, studies
from radloop.ledger.tables import metadata, study_versions
from tests.flows import cards, place
from tests.flows.conftest import announce_fake
from tests.flows.fake_inference import FakeInference, fake_inference

PEERS = """
[peers.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 1
roles = ["results"]
[peers.ris]
mllp = "127.0.0.1:1"
roles = ["reports", "orders"]
priority_upgrade = "ORM"
[peers.ehr]
fhir = "http://127.0.0.1:1/fhir"
roles = ["reports"]
"""


@pytest.fixture
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a PACS, a RIS and an EHR in its settings."""
    opened = place.make_home(tmp_path_factory.mktemp("hospital"), more=PEERS)
    yield opened
    opened.ledger.close()


@pytest.fixture
def service(hospital: House) -> Iterator[FakeInference]:
    with fake_inference(hospital.store) as running:
        announce_fake(hospital, running)
        yield running


def complete_all(house: House) -> None:
    with house.ledger.write() as conn:
        for version in studies.receiving(conn):
            studies.complete(conn, version.id, Evidence(), utc_now(), version.instances)


def read_all(house: House) -> list[str]:
    """Complete, claim and read everything; how each ended."""
    complete_all(house)

    async def run() -> list[str]:
        ended = []
        for version in claims.claim(house, 50):
            try:
                ended.append((await claims.read_claimed(house, version)).split()[0])
            except RadloopError as error:
                ended.append(type(error).__name__)
        return ended

    return asyncio.run(run())


def newest(house: House) -> StudyVersion:
    with house.ledger.read() as conn:
        return studies.latest(conn, 1, None)[0]


def results_of(house: House, version: StudyVersion) -> tuple[Result, ...]:
    with house.ledger.read() as conn:
        return results.of_version(conn, version.id)


def sent_of(house: House, version: StudyVersion) -> Sequence[Delivery]:
    with house.ledger.read() as conn:
        return deliveries.of_versions(conn, [version.id])


def due_now(house: House) -> None:
    """Let what was postponed be due."""
    with house.ledger.write() as conn:
        conn.execute(update(study_versions).values(not_before=None, lease_until=utc_now()))


def test_a_routed_study_is_answered_with_its_findings(house: House, inference: FakeInference) -> None:
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["ANSWERED"]
    (result,) = results_of(house, newest(house))
    assert newest(house).state is StudyState.ANSWERED
    assert newest(house).urgency is Urgency.URGENT
    assert newest(house).reason is None
    assert result.findings[0].probability == 0.92
    assert inference.questions[0]["digest"] == cards.DIGEST
    assert set(inference.questions[0]["instances"][0]) == {"id", "key"}


def test_a_finding_below_escalate_at_is_listed_and_never_escalates(house: House, inference: FakeInference) -> None:
    inference.probability = 0.61
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["ANSWERED"]
    (result,) = results_of(house, newest(house))
    assert result.findings[0].positive
    assert newest(house).urgency is Urgency.ROUTINE


def test_the_site_may_escalate_earlier_than_the_card(tmp_path_factory: pytest.TempPathFactory) -> None:
    more = '[escalation.cxr_pneumonia.pneumonia]\nescalate_at = 0.6\nurgency = "CRITICAL"'
    house = place.make_home(tmp_path_factory.mktemp("site"), more=more)
    with fake_inference(house.store) as service:
        announce_fake(house, service)
        service.probability = 0.61
        place.arrive(house, place.chest_study(1))
        assert read_all(house) == ["ANSWERED"]
    assert newest(house).urgency is Urgency.CRITICAL
    house.ledger.close()


def test_a_study_that_no_route_matches_is_answered_with_that_reason(house: House) -> None:
    place.arrive(house, place.chest_study(1, BodyPartExamined="FOOT"))
    assert read_all(house) == ["ANSWERED"]
    assert newest(house).reason == routing.NO_ROUTE
    assert results_of(house, newest(house)) == ()


def test_a_missing_body_part_is_routed_where_the_route_says_so(house: House, inference: FakeInference) -> None:
    place.arrive(house, place.chest_study(1, BodyPartExamined=None))
    assert read_all(house) == ["ANSWERED"]
    assert len(results_of(house, newest(house))) == 1


def test_a_study_outside_the_card_gets_a_not_applicable_result_and_nothing_is_sent(
    hospital: House, service: FakeInference
) -> None:
    place.arrive(hospital, place.chest_study(1, ViewPosition="LL"))
    assert read_all(hospital) == ["ANSWERED"]
    (result,) = results_of(hospital, newest(hospital))
    assert result.status is ResultStatus.NOT_APPLICABLE
    assert result.reason == "view is not PA or AP"
    assert newest(hospital).reason == f"{cards.NAME}: view is not PA or AP"
    assert service.questions == []
    assert sent_of(hospital, newest(hospital)) == ()


def test_without_a_champion_the_reason_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "champion", lambda _conn, _name: None)
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["ANSWERED"]
    assert newest(house).reason == f"{cards.NAME} has no champion"


def test_pictures_of_pictures_are_not_read(house: House) -> None:
    capture = place.chest_study(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    capture.file_meta.MediaStorageSOPClassUID = capture.SOPClassUID
    place.arrive(house, capture)
    assert read_all(house) == ["ANSWERED"]
    assert newest(house).reason == routing.NO_ROUTE


def test_each_ok_result_makes_one_of_each_kind_and_the_upgrade_when_urgent(
    hospital: House, service: FakeInference
) -> None:
    place.arrive(hospital, place.chest_study(1))
    assert read_all(hospital) == ["ANSWERED"]
    found = sorted((one.peer, one.object.kind) for one in sent_of(hospital, newest(hospital)))
    assert found == [
        ("ehr", ObjectKind.DIAGNOSTIC_REPORT),
        ("pacs", ObjectKind.SC),
        ("pacs", ObjectKind.SR),
        ("ris", ObjectKind.ORM),
        ("ris", ObjectKind.ORU),
    ]
    assert {one.urgency for one in sent_of(hospital, newest(hospital))} == {Urgency.URGENT}


def test_a_routine_result_sends_no_priority_upgrade(hospital: House, service: FakeInference) -> None:
    service.probability = 0.1
    place.arrive(hospital, place.chest_study(1))
    assert read_all(hospital) == ["ANSWERED"]
    assert ObjectKind.ORM not in {one.object.kind for one in sent_of(hospital, newest(hospital))}


@pytest.mark.parametrize("status", [503, 500, 404, 429])
def test_a_failed_attempt_is_no_result_and_the_study_waits_in_sight(
    hospital: House, service: FakeInference, status: int
) -> None:
    service.status = status
    place.arrive(hospital, place.chest_study(1))
    assert read_all(hospital) == ["POSTPONED"]
    assert newest(hospital).state is StudyState.COMPLETE
    assert newest(hospital).reason == inference.AI_UNAVAILABLE
    assert results_of(hospital, newest(hospital)) == ()
    assert sent_of(hospital, newest(hospital)) == ()
    service.status = 200
    due_now(hospital)
    assert read_all(hospital) == ["ANSWERED"]
    assert newest(hospital).reason is None
    assert len(results_of(hospital, newest(hospital))) == 1


def test_a_hung_inference_is_given_up_at_the_deadline(tmp_path_factory: pytest.TempPathFactory) -> None:
    house = place.make_home(tmp_path_factory.mktemp("hung"), deadline=0.3)
    with fake_inference(house.store) as service:
        announce_fake(house, service)
        service.delay = 1.5
        place.arrive(house, place.chest_study(1))
        assert read_all(house) == ["POSTPONED"]
    house.ledger.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: replace(answer, digest="e" * 64),
        lambda answer: replace(answer, model="another"),
        lambda answer: replace(answer, scores=()),
        lambda answer: replace(answer, scores=answer.scores * 2),
        lambda answer: replace(answer, scores=(replace(answer.scores[0], probability=1.5),)),
        lambda answer: replace(answer, scores=(replace(answer.scores[0], probability=float("nan")),)),
        lambda _: b"<html>",
        lambda _: b"",
    ],
    ids=["digest", "model", "no scores", "twice", "beyond one", "nan", "garbage", "nothing"],
)
def test_an_answer_that_does_not_fit_the_question_is_never_a_result(
    house: House, inference: FakeInference, spoil: object
) -> None:
    inference.spoil = spoil  # type: ignore[assignment]
    place.arrive(house, place.chest_study(1))
    assert read_all(house) == ["POSTPONED"]
    assert results_of(house, newest(house)) == ()


def test_a_late_instance_makes_a_result_that_names_its_predecessor(hospital: House, service: FakeInference) -> None:
    place.arrive(hospital, place.chest_study(1))
    read_all(hospital)
    (first,) = results_of(hospital, newest(hospital))
    service.probability = 0.2
    place.arrive(hospital, place.chest_study(1, SOPInstanceUID="2.25.77"))
    assert read_all(hospital) == ["ANSWERED"]
    (second,) = results_of(hospital, newest(hospital))
    assert second.predecessor_id == first.id
    assert newest(hospital).number == 2
    assert newest(hospital).urgency is Urgency.URGENT, "a study never falls"


def test_an_invalid_object_is_quarantined_with_the_validators_words_and_the_others_go(
    hospital: House, service: FakeInference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, obj: EncodedObject, ctx: object) -> None:
        raise InvalidObject("SC: dciodvfy: Error - Missing attribute")

    monkeypatch.setattr(type(encoders()[ObjectKind.SC]), "validate", refuse)
    place.arrive(hospital, place.chest_study(1))
    assert read_all(hospital) == ["ANSWERED"]
    kinds = {one.object.kind for one in sent_of(hospital, newest(hospital))}
    assert kinds == {ObjectKind.SR, ObjectKind.ORU, ObjectKind.ORM, ObjectKind.DIAGNOSTIC_REPORT}
    with hospital.ledger.read() as conn:
        (aside,) = quarantine.latest(conn)
    assert aside.reason == "invalid-object: SC: dciodvfy: Error - Missing attribute"
    assert aside.blob is not None


STEPS = ["fetch", "check", "infer", "encode", "queue"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_doubles_and_loses_nothing(
    hospital: House, service: FakeInference, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    whole = getattr(triage, step)

    async def crash(*arguments: object) -> object:
        if when == "after":
            await whole(*arguments)
        raise ZeroDivisionError("a crash quotes Patient^Name")

    place.arrive(hospital, place.chest_study(1))
    with monkeypatch.context() as patch:
        patch.setattr(triage, step, crash)
        assert read_all(hospital) == ["Permanent"]
    version = newest(hospital)
    if (step, when) != ("queue", "after"):
        assert version.state is StudyState.COMPLETE
        assert version.reason == "a step of the reading failed"
        due_now(hospital)
        assert read_all(hospital) == ["ANSWERED"]
    assert newest(hospital).state is StudyState.ANSWERED
    (result,) = results_of(hospital, version)
    with hospital.ledger.read() as conn:
        made = objects.of_result(conn, result.id)
    assert len(made) == 5
    assert len({one.identifier for one in made}) == 5
    assert len(sent_of(hospital, version)) == 5


def fingerprints(reading: triage.Reading) -> list[tuple[str, str]]:
    made = [one.object for one in reading.objects if isinstance(one, encoding.Made)]
    return sorted((one.identifier, one.blob.sha256) for one in made)


def test_the_same_result_makes_the_same_bytes_again(hospital: House, service: FakeInference) -> None:
    place.arrive(hospital, place.chest_study(1))
    complete_all(hospital)

    async def twice() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        (version,) = claims.claim(hospital, 1)
        reading = await triage.infer(hospital, await triage.check(hospital, await triage.fetch(hospital, version)))
        made = [await triage.encode(hospital, reading) for _ in range(2)]
        first, second = (
            sorted(
                (one.object.identifier, one.object.blob.sha256) for one in m.objects if isinstance(one, encoding.Made)
            )
            for m in made
        )
        return first, second

    first, second = asyncio.run(twice())
    assert first == second
    assert len(first) == 5


def test_a_claim_that_went_to_another_runner_commits_nothing(hospital: House, service: FakeInference) -> None:
    place.arrive(hospital, place.chest_study(1))
    complete_all(hospital)
    (version,) = claims.claim(hospital, 1)
    other = replace(hospital, owner="runner-other")

    async def late() -> None:
        await triage.read_study(other, version)

    with pytest.raises(RadloopError, match="another runner"):
        asyncio.run(late())
    assert sent_of(hospital, version) == ()
    assert newest(hospital).state is StudyState.READING


def test_no_shadow_or_challenger_answers(house: House, inference: FakeInference) -> None:
    with house.ledger.write() as conn:
        models.register(conn, replace(cards.version(digest="e" * 64, standing=Standing.SHADOW), version="2.0.0"))
    place.arrive(house, place.chest_study(1))
    read_all(house)
    assert [result.model.digest for result in results_of(house, newest(house))] == [cards.DIGEST]


def test_triage_is_the_same_on_postgresql(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    house = place.make_home(tmp_path_factory.mktemp("pg"), ledger=postgres_url, more=PEERS)
    with house.ledger.write() as conn:
        conn.execute(text("TRUNCATE " + ", ".join(metadata.tables)))
        models.register(conn, cards.version())
    with fake_inference(house.store) as service:
        announce_fake(house, service)
        service.status = 503
        place.arrive(house, place.chest_study(1), place.chest_study(2))
        assert read_all(house) == ["POSTPONED", "POSTPONED"]
        service.status = 200
        due_now(house)
        assert read_all(house) == ["ANSWERED", "ANSWERED"]
    assert len(sent_of(house, newest(house))) == 5
    house.ledger.close()
