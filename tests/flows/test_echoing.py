"""The echo test: every way to a peer that the settings give is tried, within seconds, and on record."""

from pathlib import Path

import pytest

from flows.echoing import echo
from flows.house import House
from radloop.domain.errors import NotFound
from radloop.ledger.tables import audit_events
from radloop.process import free_port
from tests.flows import place
from tests.peers.dcmtk import storescp
from tests.peers.fhir import Reply, fhir_peer
from tests.peers.mllp import mllp_peer

PEERS = """
[peers.pacs]
roles = ["results"]
ae_title = "STORESCP"
host = "127.0.0.1"
port = {dicom}
[peers.ris]
roles = ["reports"]
mllp = "{mllp}"
fhir = "{fhir}"
[peers.modality]
roles = ["source"]
ae_title = "CT1"
host = "127.0.0.1"
"""


def make(folder: Path, dicom: int, mllp: str, fhir: str) -> House:
    return place.make_home(folder / "home", more=PEERS.format(dicom=dicom, mllp=mllp, fhir=fhir))


def test_each_way_answers_in_its_own_protocol_and_the_test_is_on_record(tmp_path: Path) -> None:
    with storescp() as pacs, mllp_peer("AA") as ris, fhir_peer(Reply(200)) as ehr:
        house = make(tmp_path, pacs.port, ris.address, ehr.url)
        (dicom,) = echo(house, "pacs", "ann")
        mllp, fhir = echo(house, "ris", "ann")
    assert [one.answered for one in (dicom, mllp, fhir)] == [True, True, True], (dicom, mllp, fhir)
    assert "C-ECHO" in dicom.how
    assert "no message is sent" in mllp.how
    assert ris.received == []
    assert [one.path for one in ehr.received] == ["/fhir/metadata"]
    with house.ledger.read() as conn:
        found = conn.execute(audit_events.select().where(audit_events.c.action == "peer.echo")).all()
    assert {(row.actor, row.object_id) for row in found} == {("ann", "pacs"), ("ann", "ris")}
    house.ledger.close()


def test_a_peer_that_is_away_is_said_to_be_by_every_way(tmp_path: Path) -> None:
    port = free_port()
    house = make(tmp_path, port, f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/fhir")
    for name, ways in (("pacs", 1), ("ris", 2)):
        tried = echo(house, name, "ann")
        assert [(one.answered, bool(one.words)) for one in tried] == [(False, True)] * ways
    for name in ("nobody", "modality"):
        with pytest.raises(NotFound):
            echo(house, name, "ann")
    house.ledger.close()
