"""Storage commitment with Orthanc: asked by the runner's step, answered at the gateway's door."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from flows import commit, deliver
from flows.house import House
from integrations.dimse.part10 import read_meta
from radloop.domain.enums import DeliveryState, ObjectKind, Urgency
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Delivery, StoredObject
from radloop.ledger import commitments, deliveries, objects, reports, results, tables
from tests.clock import until
from tests.flows import cards, place
from tests.flows.conftest import announce_fake
from tests.flows.fake_inference import fake_inference
from tests.flows.runners import runner
from tests.peers.dicom_files import dicom_file
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.programs import free_port
from tests.peers.sockets import hostile, refusing, silent
from tests.radloop.ledger import rows
from tests.serving.gateway.door import open_door

PACS = """
[peers.pacs]
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {port}
roles = ["results"]
answer_seconds = 2.0
connect_seconds = 1.0
commitment = {commitment}
"""
SECONDS = 15.0


@dataclass
class Radiology:
    """A home with its gateway, and an Orthanc that knows where to answer."""

    house: House
    pacs: Orthanc

    def deliver(self, count: int = 1) -> list[str]:
        """Queue and deliver objects; their SOP Instance UIDs."""
        uids = [queue(self.house) for _ in range(count)]
        assert asyncio.run(deliver.deliver_due(self.house, "pacs")) == count
        return uids

    def states(self) -> list[DeliveryState]:
        return [one.state for one in all_deliveries(self.house)]

    def ask(self) -> int:
        return commit.ask_due(self.house, "pacs") if due(self.house) else 0

    def lose(self, sop_uid: str) -> None:
        """Orthanc loses an instance."""
        (found,) = [one for one in self.pacs.instances if self.uid_of(one) == sop_uid]
        url = f"{self.pacs.url}/instances/{found}"
        httpx.delete(url, timeout=10.0, trust_env=False).raise_for_status()

    def uid_of(self, orthanc_id: str) -> str:
        said: str = self.pacs.get(f"/instances/{orthanc_id}").json()["MainDicomTags"]["SOPInstanceUID"]
        return said


@pytest.fixture
def radiology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Radiology]:
    port = free_port()
    for name, value in (("DICOM_PORT", port), ("HL7_PORT", 0), ("PROCESSES", 1)):
        monkeypatch.setenv(f"RADLOOP_GATEWAY__{name}", str(value))
    monkeypatch.setattr(commit, "ASK_AFTER", timedelta(0))
    with orthanc(modalities={"us": ("RADLOOP", "127.0.0.1", port)}) as pacs:
        house = place.make_home(tmp_path / "home", more=PACS.format(port=pacs.port, commitment="true"))
        with open_door(house.settings.home):
            yield Radiology(house, pacs)
        house.ledger.close()


def queue(house: House, peer: str = "pacs") -> str:
    """One secondary capture of a result, queued; its SOP Instance UID."""
    (receipt,) = place.arrive(house, place.chest_study(len(all_deliveries(house))))
    result = rows.result(receipt.version_id or "", model=cards.version())
    data = dicom_file()
    made = StoredObject(
        id=new_id("ob"),
        result_id=result.id,
        kind=ObjectKind.SC,
        ordinal=0,
        identifier=read_meta(data).sop_uid,
        media_type="application/dicom",
        blob=house.store.put(data),
    )
    with house.ledger.write() as conn:
        results.add(conn, result)
        objects.add(conn, made)
        deliveries.queue(conn, made, receipt.version_id or "", peer, Urgency.ROUTINE)
    return made.identifier


def all_deliveries(house: House) -> tuple[Delivery, ...]:
    with house.ledger.read() as conn:
        ids = list(conn.scalars(tables.deliveries.select().with_only_columns(tables.deliveries.c.id)))
        return deliveries.of_ids(conn, ids)


def due(house: House) -> bool:
    with house.ledger.read() as conn:
        return bool(commitments.due_peers(conn, commit.asked_peers(house), utc_now()))


def questions(house: House) -> int:
    with house.ledger.read() as conn:
        return len(conn.execute(tables.commitments.select()).all())


def only(state: DeliveryState, radiology: Radiology) -> Callable[[], bool]:
    return lambda: set(radiology.states()) == {state}


def test_what_orthanc_accepted_is_committed_in_one_transaction(radiology: Radiology) -> None:
    radiology.deliver(3)
    assert set(radiology.states()) == {DeliveryState.ACCEPTED}
    assert radiology.ask() == 3
    until(only(DeliveryState.COMMITTED, radiology), SECONDS)
    assert radiology.ask() == 0
    assert questions(radiology.house) == 1


def test_what_orthanc_lost_is_sent_again_and_then_committed(radiology: Radiology) -> None:
    kept, lost = radiology.deliver(2)
    radiology.lose(lost)
    radiology.ask()
    until(lambda: DeliveryState.QUEUED in radiology.states(), SECONDS)
    by_uid = {one.object.identifier: one for one in all_deliveries(radiology.house)}
    assert by_uid[kept].state is DeliveryState.COMMITTED
    assert by_uid[lost].error == "not committed: 0x0112 no such object instance"
    assert asyncio.run(deliver.deliver_due(radiology.house, "pacs")) == 1
    assert radiology.ask() == 1
    until(only(DeliveryState.COMMITTED, radiology), SECONDS)
    assert {radiology.uid_of(one) for one in radiology.pacs.instances} == {kept, lost}


def test_sr_and_sc_of_a_study_are_committed_by_the_runner(radiology: Radiology) -> None:
    house = radiology.house
    with fake_inference(house.store) as service:
        announce_fake(house, service)
        with runner(house.settings.home):
            place.arrive(house, place.chest_study(1))
            until(lambda: len(radiology.states()) >= 2, 30.0)
            until(only(DeliveryState.COMMITTED, radiology), 30.0)
    assert {one.object.kind for one in all_deliveries(house)} >= {ObjectKind.SR, ObjectKind.SC}
    with house.ledger.read() as conn:
        (study,) = reports.study_rows(conn)
    assert {one["state"] for one in study["deliveries"]} == {"COMMITTED"}


def test_a_question_is_on_record_before_it_is_on_the_wire(
    radiology: Radiology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right after the wire, or before it: the next question is another transaction, and nothing is lost."""
    radiology.deliver()
    seen = []

    def dies(*_: object) -> None:
        seen.append(questions(radiology.house))
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(commit, "request_commitment", dies)
        with pytest.raises(ZeroDivisionError):
            radiology.ask()
    assert seen == [1]
    assert radiology.ask() == 0, "not before a minute has passed"
    with radiology.house.ledger.write() as conn:
        later = utc_now() + timedelta(seconds=61)
        assert commitments.due_peers(conn, ["pacs"], later) == ("pacs",)


def test_a_peer_without_commitment_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "ASK_AFTER", timedelta(0))
    with orthanc() as pacs:
        house = place.make_home(tmp_path / "home", more=PACS.format(port=pacs.port, commitment="false"))
        queue(house)
        asyncio.run(deliver.deliver_due(house, "pacs"))
        assert [one.state for one in all_deliveries(house)] == [DeliveryState.ACCEPTED]
        with house.ledger.read() as conn:
            assert commitments.due_peers(conn, ["pacs"], utc_now() + timedelta(days=1)) == ()
        house.ledger.close()


@pytest.mark.parametrize("listening", [refusing, lambda: hostile(silent)], ids=["away", "silent"])
def test_a_peer_that_gives_no_answer_is_asked_again_later(
    radiology: Radiology, monkeypatch: pytest.MonkeyPatch, listening: Callable[[], AbstractContextManager[int]]
) -> None:
    radiology.deliver(2)
    peers = radiology.house.settings.peers
    with listening() as port:
        monkeypatch.setitem(peers, "pacs", peers["pacs"].model_copy(update={"port": port}))
        assert radiology.ask() == 2
    assert not due(radiology.house)
    with radiology.house.ledger.read() as conn:
        assert commitments.due_peers(conn, ["pacs"], utc_now() + timedelta(seconds=61)) == ("pacs",)
    assert set(radiology.states()) == {DeliveryState.ACCEPTED}


def test_bytes_that_rotted_are_not_asked_for_and_hold_up_no_other(radiology: Radiology) -> None:
    radiology.deliver(2)
    rotten, _ = all_deliveries(radiology.house)
    path = next(radiology.house.settings.store_path.rglob(rotten.object.blob.key))
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert radiology.ask() == 1
    until(lambda: DeliveryState.COMMITTED in radiology.states(), SECONDS)
    assert sorted(radiology.states()) == [DeliveryState.ACCEPTED, DeliveryState.COMMITTED]
