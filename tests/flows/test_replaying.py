from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from sqlalchemy import func, select, update

from flows.house import House
from flows.replaying import TOLERANCE, replay_study
from models.runtime import load
from radloop.domain.errors import IntegrityError, NotFound
from radloop.domain.ids import utc_now
from radloop.domain.records import Result
from radloop.ledger import instances, lineage
from radloop.ledger.learning import signoffs
from radloop.ledger.tables import findings, metadata
from radloop.pixels import DecodePool
from serving.inference.contract import Reference
from serving.inference.looking import Eye, View
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


@pytest.fixture
def result(house: House, history: History) -> Result:
    """An answer as inference gives it: by its own eye, both slices in one batch, the highest, to four decimals."""
    made = histories.answered(house, history.trained)
    model = load(house.settings.models_path / history.trained.name / history.trained.digest)
    with house.ledger.read() as conn:
        found = instances.of_version(conn, made.version_id)
    with DecodePool(1) as pool, ThreadPoolExecutor(1) as threads:
        eye = Eye(house.store, pool, threads, threads)
        views = [eye.look(Reference(id=one.id, key=one.blob.key), model, keep=False) for one in found]
    tensors = [view.tensor for view in views if isinstance(view, View)]
    assert len(tensors) == 2
    said = model.predict_and_explain(torch.stack(tensors))[0][:, 0]
    record(house, made, round(float(said.max()), 4), found[int(said.argmax())].id)
    return made


def record(house: House, made: Result, probability: float, image: str) -> None:
    """The finding on record becomes this one."""
    values = {"probability": probability, "instance_id": image}
    with house.ledger.write() as conn:
        conn.execute(update(findings).where(findings.c.result_id == made.id).values(**values))


def on_record(house: House, made: Result) -> tuple[float, str]:
    with house.ledger.read() as conn:
        row = conn.execute(select(findings).where(findings.c.result_id == made.id)).one()
    return row.probability, row.instance_id


def rows(house: House) -> dict[str, int]:
    with house.ledger.read() as conn:
        return {name: conn.scalar(select(func.count()).select_from(table)) for name, table in metadata.tables.items()}


def test_an_answer_of_inference_comes_out_the_same_at_batch_1(house: House, result: Result) -> None:
    before = rows(house)
    threads = torch.get_num_threads()
    replay = replay_study(house, result.version_id, "dr.ada")
    (one,) = replay.results
    assert one.same is True
    assert not replay.differs
    (finding,) = one.compared
    assert abs(finding.before - finding.after) <= TOLERANCE
    assert finding.image_after == finding.image_before
    assert any("batch of 2" in note for note in one.notes)
    assert any("an older build" in note for note in one.notes)
    assert torch.get_num_threads() == threads
    assert rows(house) == {**before, "audit_events": before["audit_events"] + 1}
    with house.ledger.read() as conn:
        (event,) = lineage.events_of(conn, result.version_id)
    assert (event.actor, event.action, event.detail) == ("dr.ada", "replay", f"{result.id} same")


def test_a_record_that_was_changed_by_two_ten_thousandths_is_found(house: House, result: Result) -> None:
    probability, image = on_record(house, result)
    record(house, result, probability - 0.0003, image)
    replay = replay_study(house, result.id, "dr.ada")
    assert replay.differs
    assert [one.same for one in replay.results] == [False]


def test_pixels_that_are_gone_are_said_and_the_record_is_shown(house: House, result: Result) -> None:
    histories.read_by_people(house, result)
    at = utc_now()
    with house.ledger.write() as conn:
        found = instances.of_version(conn, result.version_id)
        conn.execute(update(signoffs).values(forgotten_at=at))
    house.store.delete(found[0].blob.key)
    replay = replay_study(house, result.version_id, "dr.ada")
    (one,) = replay.results
    assert one.gone == (found[0].id,)
    assert one.same is None
    assert not replay.differs
    assert one.result.findings[0].target == histories.TARGET
    assert replay.forgotten_at == at


def test_a_bundle_that_was_tampered_with_computes_nothing(house: House, result: Result) -> None:
    folder = house.settings.models_path / result.model.name / result.model.digest
    weights = folder / "models/model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError):
        replay_study(house, result.version_id, "dr.ada")


def test_a_name_that_means_nothing_is_not_found(house: House) -> None:
    with pytest.raises(NotFound):
        replay_study(house, "1.2.3", "dr.ada")
