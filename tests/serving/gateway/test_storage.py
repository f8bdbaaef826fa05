"""C-STORE: what is acknowledged is durable and on record; what is refused is set aside."""

import io
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pynetdicom.association import Association

from radloop.domain.enums import ObjectKind, Qualification, ResultStatus, Standing
from radloop.domain.ids import new_id, utc_now
from radloop.domain.records import Blob, ModelVersion, Result, StoredObject
from radloop.ledger import objects, results
from radloop.pixels import split
from serving.gateway.contexts import STORAGE_ELSEWHERE, TRANSFER_SYNTAXES
from tests.serving.gateway.door import Door, make_home, open_door
from tests.serving.gateway.sender import Instance, associated, instance, store

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
PART10 = sorted(path for path in BUNDLED.rglob("*.dcm") if path.is_file() and path.read_bytes()[128:132] == b"DICM")


@pytest.fixture
def assoc(door: Door) -> Iterator[Association]:
    with associated(door.dicom_port) as established:
        yield established


def bundled(path: Path) -> Instance | None:
    """A file of pydicom's, as a sender would offer it; None where its header names nothing to offer."""
    raw = path.read_bytes()
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        ds = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        sop_class = str(ds.get("SOPClassUID") or meta.MediaStorageSOPClassUID)
        sop_uid = str(ds.get("SOPInstanceUID") or meta.MediaStorageSOPInstanceUID)
        offset = 144 + int(meta.FileMetaInformationGroupLength)
        syntax = str(meta.TransferSyntaxUID)
    except (AttributeError, ValueError, KeyError, pydicom.errors.InvalidDicomError):
        return None
    if not (sop_class and sop_uid and syntax) or syntax not in TRANSFER_SYNTAXES:
        return None
    return Instance(raw[offset:], sop_class, sop_uid, syntax)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")  # the broken files are broken on purpose
def test_every_bundled_file_is_stored_bit_for_bit_or_refused_and_set_aside(tmp_path: Path) -> None:
    stored = refused = 0
    with open_door(make_home(tmp_path / "home")) as door:
        for path in PART10:
            sent = bundled(path)
            if sent is None:
                continue
            with associated(door.dicom_port, [(sent.sop_class, sent.transfer_syntax)]) as assoc:
                if len(assoc.accepted_contexts) < 2:  # a DICOMDIR is no storage SOP class
                    continue
                aside = len(door.set_aside)
                status = store(assoc, sent)
            if status == 0:
                stored += 1
                assert any(
                    one.header.sop_uid == sent.sop_uid and bytes(split(door.file(one.blob)).dataset) == sent.data
                    for one in door.instances
                ), path.name
            else:
                refused += 1
                assert len(door.set_aside) == aside + 1, path.name
                kept = door.set_aside[0].blob
                assert kept is not None
                assert door.file(kept).endswith(sent.data), path.name
    assert stored > 30  # many of the bundled files share their UIDs
    assert refused > 0


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
def test_every_transfer_syntax_that_pydicom_knows_is_accepted(shared_door: Door, syntax: str) -> None:
    with associated(shared_door.dicom_port, [(CTImageStorage, syntax)]) as assoc:
        accepted = {
            str(cx.transfer_syntax[0]) for cx in assoc.accepted_contexts if cx.abstract_syntax == CTImageStorage
        }
    assert accepted == {syntax}


@pytest.mark.parametrize("sop_class", [*sorted(STORAGE_ELSEWHERE), "1.3.46.670589.11.0.0.12.1"])
def test_storage_classes_outside_the_usual_root_and_private_ones_are_taken(door: Door, sop_class: str) -> None:
    sent = instance(SOPClassUID=sop_class)
    with associated(door.dicom_port, [(sop_class, ExplicitVRLittleEndian)]) as assoc:
        assert store(assoc, sent) == 0x0000
    assert door.instances[0].header.sop_class_uid == sop_class


def test_what_is_kept_is_a_file_with_a_zeroed_preamble_and_correct_meta(door: Door, assoc: Association) -> None:
    sent = instance()
    assert store(assoc, sent) == 0x0000
    kept = door.file(door.instances[0].blob)
    assert kept[:132] == bytes(128) + b"DICM"
    ds = pydicom.dcmread(io.BytesIO(kept))
    assert ds.file_meta.MediaStorageSOPClassUID == sent.sop_class
    assert ds.file_meta.MediaStorageSOPInstanceUID == sent.sop_uid
    assert ds.file_meta.TransferSyntaxUID == sent.transfer_syntax
    assert kept[144 + ds.file_meta.FileMetaInformationGroupLength :] == sent.data


def test_the_same_instance_again_is_acknowledged_and_kept_once(door: Door, assoc: Association) -> None:
    sent = instance()
    assert [store(assoc, sent) for _ in range(3)] == [0, 0, 0]
    assert len(door.instances) == 1
    assert door.keys() == {door.instances[0].blob.key}
    assert door.set_aside == ()


def test_the_same_uid_with_other_bytes_is_refused_set_aside_and_audited(door: Door, assoc: Association) -> None:
    first = instance()
    other = replace(instance(b"\1" * 64, SOPInstanceUID=first.sop_uid), sop_uid=first.sop_uid)
    assert store(assoc, first) == 0x0000
    assert store(assoc, other) == 0xA901
    (kept,) = door.instances
    assert door.file(kept.blob).endswith(first.data)
    (aside,) = door.set_aside
    assert (aside.reason.split(":")[0], aside.peer) == ("duplicate-conflict", "modality")
    assert aside.blob is not None
    assert door.file(aside.blob).endswith(other.data)
    assert door.audited("quarantine.add") == [aside.id]


def test_a_data_set_of_another_sop_class_is_refused_and_set_aside(door: Door, assoc: Association) -> None:
    sent = replace(instance(SOPClassUID=MRImageStorage), sop_class=SecondaryCaptureImageStorage)
    assert store(assoc, sent) == 0xA900
    assert [aside.reason.split(":")[0] for aside in door.set_aside] == ["mismatched-identity"]
    assert door.instances == ()


def test_a_request_for_another_sop_class_than_its_context_is_refused(door: Door, assoc: Association) -> None:
    sent = instance(SOPClassUID=MRImageStorage)
    assert store(assoc, sent, context_of=SecondaryCaptureImageStorage) == 0xA900
    assert door.instances == ()


def test_a_data_set_of_another_instance_is_refused_and_set_aside(door: Door, assoc: Association) -> None:
    assert store(assoc, replace(instance(), sop_uid=generate_uid())) == 0xA900
    assert len(door.set_aside) == 1


@pytest.mark.parametrize("damage", [b"", b"\0", b"not a data set at all", b"\xff" * 4096])
def test_what_cannot_be_parsed_is_refused_and_set_aside(door: Door, assoc: Association, damage: bytes) -> None:
    assert store(assoc, replace(instance(), data=damage or b"\x08")) == 0xC000
    (aside,) = door.set_aside
    assert aside.reason.startswith("unparsable")
    assert door.instances == ()


def test_a_data_set_that_was_cut_is_refused_and_set_aside(door: Door, assoc: Association) -> None:
    sent = instance(b"\0" * 4096)
    assert store(assoc, replace(sent, data=sent.data[:-100])) == 0xC000
    assert len(door.set_aside) == 1


def test_the_association_goes_on_after_a_refusal(door: Door, assoc: Association) -> None:
    assert store(assoc, replace(instance(), data=b"junk")) == 0xC000
    assert assoc.send_c_echo().Status == 0x0000
    assert store(assoc, instance()) == 0x0000


def test_a_deflate_bomb_is_refused_without_being_inflated_whole(door: Door) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    sent = instance()
    bomb = packer.compress(sent.data) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(2048)) + packer.flush()
    with associated(door.dicom_port, [(sent.sop_class, DeflatedExplicitVRLittleEndian)]) as assoc:
        status = store(assoc, replace(sent, data=bomb, transfer_syntax=DeflatedExplicitVRLittleEndian))
    assert status in (0xA701, 0xC000)
    assert door.instances == ()


def test_an_instance_beyond_the_limit_is_refused_noted_and_not_kept(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", f"max_instance_bytes = {1 << 20}")
    with open_door(home) as door, associated(door.dicom_port) as assoc:
        assert store(assoc, instance(bytes(2 << 20))) == 0xA701
        assert store(assoc, instance()) == 0x0000
        (aside,) = door.set_aside
        assert aside.blob is None
        assert aside.reason.startswith("too-large")


def test_uids_and_patient_ids_never_become_paths(door: Door, assoc: Association) -> None:
    assert store(assoc, instance(PatientID="../../../etc/passwd\0")) == 0x0000
    assert store(assoc, instance(PatientID="a\n\x1b[0m/../b")) == 0x0000
    evil = instance(SOPInstanceUID="1.2.3.4")
    assert store(assoc, replace(evil, data=evil.data.replace(b"1.2.3.4\0", b"../../xy"), sop_uid="1.2.3.4")) == 0xC000
    names = {path.name for path in door.home.rglob("*")}
    assert not any("passwd" in name or "xy" in name for name in names)


def test_our_own_objects_come_back_and_are_acknowledged_and_not_read_again(door: Door, assoc: Association) -> None:
    assert store(assoc, instance()) == 0x0000
    own = instance()
    result = Result(
        id=new_id("rs"),
        version_id=door.instances[0].version_id,
        model=ModelVersion(
            name="m", version="1", digest="0" * 64, standing=Standing.CHAMPION, qualification=Qualification.RESEARCH
        ),
        status=ResultStatus.OK,
        reason=None,
        findings=(),
        run=None,
        predecessor_id=None,
        created_at=utc_now(),
    )
    made = StoredObject(
        id=new_id("ob"),
        result_id=result.id,
        kind=ObjectKind.SC,
        ordinal=0,
        identifier=own.sop_uid,
        media_type="application/dicom",
        blob=Blob("0" * 32, "0" * 64, 1),
    )
    with door.ledger.write() as conn:
        results.add(conn, result)
        objects.add(conn, made)
    before = door.keys()
    assert store(assoc, own) == 0x0000
    assert len(door.instances) == 1
    assert door.keys() == before
