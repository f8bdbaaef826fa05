"""Uploads: what comes in by hand is taken apart within limits, read, shown to its owner alone, and goes again."""

import io
import socket
import time
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from pydicom import dcmread

from flows.discarding import discard_due
from flows.unpacking import Room, Subject, pieces
from models.preparation import excluded, header_facts
from radloop.domain.errors import TooLarge, Unparsable
from radloop.domain.ids import utc_now
from radloop.ledger import blobs
from radloop.ledger import uploads as rows
from radloop.ledger.tables import studies
from radloop.pixels.from_picture import wrapped
from tests.flows.readings import OTHER, READER
from tests.serving.console.conftest import Console
from tests.serving.console.test_access import rows as audited

MANY = Room(files=100, bytes=50_000_000)


def png(size: tuple[int, int] = (256, 320)) -> bytes:
    with io.BytesIO() as buffer:
        Image.linear_gradient("L").resize(size).save(buffer, "PNG")
        return buffer.getvalue()


def packed(members: Mapping[str, bytes]) -> bytes:
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in members.items():
                file.writestr(name, data)
        return buffer.getvalue()


def taken(data: bytes, room: Room = MANY) -> list[str]:
    return [piece.reason or "taken" for piece in pieces(io.BytesIO(data), Subject.CHEST_XRAY, room)]


def begun(console: Console, actor: str = READER, **said: Any) -> str:
    made = console.http.post("/api/v1/uploads", json=said, headers=console.as_actor(actor))
    assert made.status_code == 201
    return str(made.json()["id"])


def send(console: Console, upload: str, data: bytes, actor: str = READER) -> httpx.Response:
    return console.http.post(f"/api/v1/uploads/{upload}/files", content=data, headers=console.as_actor(actor))


def test_a_picture_becomes_an_image_that_a_model_can_read() -> None:
    ds = dcmread(io.BytesIO(wrapped(png(), "CR", "CHEST")))
    assert (ds.Modality, ds.BodyPartExamined, ds.Rows, ds.Columns) == ("CR", "CHEST", 320, 256)
    assert ds.pixel_array.shape == (320, 256)
    assert excluded(header_facts(ds), "AXIAL") is None
    # Grey levels of a picture are no Hounsfield units, whatever it shows.
    head = dcmread(io.BytesIO(wrapped(png(), "CT", "HEAD")))
    assert excluded(header_facts(head), "AXIAL", (40.0, 80.0)) == "the image is not in Hounsfield units"


def test_a_zip_is_taken_apart_and_what_is_no_image_is_named_by_its_reason() -> None:
    dicom = wrapped(png(), "CR", "CHEST")
    found = packed(
        {"a/one.dcm": dicom, "a/two.png": png(), "note.txt": b"hello", "__MACOSX/x": b"x", "a/.DS_Store": b""}
    )
    assert taken(found) == ["taken", "taken", "unparsable"]
    assert taken(packed({"../../etc/passwd": dicom})) == ["taken"]
    assert taken(packed({"inner.zip": packed({"one.dcm": dicom})})) == ["unparsable"]


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(TooLarge):
        taken(packed({"bomb": b"\0" * 30_000_000}))
    with pytest.raises(TooLarge):
        taken(packed({f"{number}": b"x" for number in range(101)}))
    with pytest.raises(TooLarge):
        taken(png((3000, 3000)), Room(files=1, bytes=1000))


@pytest.mark.parametrize("data", [b"PK\x03\x04" + b"\xff" * 500, packed({"a": png()})[:-40]])
def test_a_broken_zip_is_refused_with_its_reason(data: bytes) -> None:
    with pytest.raises(Unparsable):
        taken(data)


def test_an_encrypted_zip_and_a_picture_of_too_many_pixels_are_refused() -> None:
    broken = bytearray(packed({"a.png": png()}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        broken[broken.index(signature) + offset] |= 1  # APPNOTE 4.4.4, bit 0: encrypted
    with pytest.raises(Unparsable):
        taken(bytes(broken))
    vast = bytearray(png((16, 16)))
    vast[16:24] = (60_000).to_bytes(4, "big") * 2  # PNG 11.2.2: width and height
    assert taken(bytes(vast)) in (["too-large"], ["undecodable"])


def test_an_upload_is_taken_listed_and_deleted_by_its_owner_alone(console: Console) -> None:
    upload = begun(console)
    assert send(console, upload, png()).json() == {"taken": 1, "refused": []}
    assert send(console, upload, b"hello").json() == {"taken": 0, "refused": ["unparsable"]}
    shown = console.http.get(f"/api/v1/uploads/{upload}", headers=console.as_actor()).json()
    assert (shown["state"], shown["images"], shown["report"]) == ("TAKING", 1, None)
    theirs = console.as_actor(OTHER)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/reading"), ("GET", "/objects/ob_0")):
        assert console.http.request(method, f"/api/v1/uploads/{upload}{path}", headers=theirs).status_code == 404
    assert send(console, upload, png(), OTHER).status_code == 404
    assert console.http.get("/api/v1/uploads", headers=theirs).json() == []
    with console.house.ledger.read() as conn:
        (stored,) = rows.files(conn, upload)
        assert blobs.referenced(conn, {stored.blob.key}) == {stored.blob.key}
    assert console.http.delete(f"/api/v1/uploads/{upload}", headers=console.as_actor()).json()["state"] == "DELETED"
    assert console.http.get(f"/api/v1/uploads/{upload}", headers=console.as_actor()).status_code == 404
    assert stored.blob.key not in set(console.house.store.keys())
    assert [row.action for row in (*audited(console, "upload"), *audited(console, "upload.delete"))] == [
        "upload",
        "upload.delete",
    ]


def test_an_upload_makes_no_study_of_the_hospital_and_goes_when_its_time_is_over(console: Console) -> None:
    with console.house.ledger.read() as conn:
        before = len(conn.execute(studies.select()).all())
    upload = begun(console)
    send(console, upload, png())
    with console.house.ledger.write() as conn:
        assert len(conn.execute(studies.select()).all()) == before
        conn.execute(rows.uploads.update().values(delete_at=utc_now() - timedelta(seconds=1)))
    assert discard_due(console.house, "runner") == 1
    assert discard_due(console.house, "runner") == 0
    assert console.http.get(f"/api/v1/uploads/{upload}", headers=console.as_actor()).status_code == 404


def test_identity_is_taken_away_before_anything_is_kept(console: Console, tmp_path: Path) -> None:
    ds = dcmread(io.BytesIO(wrapped(png(), "CR", "CHEST")))
    ds.PatientName, ds.PatientID, ds.InstitutionName = "ZQNAME^ZQGIVEN", "ZQID77", "ZQHOSPITAL"
    with io.BytesIO() as buffer:
        ds.save_as(buffer)
        data = buffer.getvalue()
    upload = begun(console, deidentify=True)
    assert send(console, upload, data).json() == {"taken": 1, "refused": []}
    with console.house.ledger.read() as conn:
        (stored,) = rows.files(conn, upload)
    assert b"ZQ" not in console.house.store.get(stored.blob.key)


def test_without_inference_the_report_says_so_and_may_be_tried_again(console: Console) -> None:
    upload = begun(console)
    assert console.http.post(f"/api/v1/uploads/{upload}/reading", headers=console.as_actor()).status_code == 422
    send(console, upload, png())
    told = console.http.post(f"/api/v1/uploads/{upload}/reading", headers=console.as_actor())
    state = console.http.get(f"/api/v1/uploads/{upload}", headers=console.as_actor()).json()["state"]
    assert (told.status_code, state) in ((503, "FAILED"), (200, "DONE"))
    page = console.http.get(f"/upload/{upload}", headers=console.as_actor())
    assert page.status_code == 200


def test_a_body_that_is_too_large_is_refused_and_leaves_nothing(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begun(console)
    small = console.house.settings.upload.model_copy(update={"max_bytes": 1000})
    monkeypatch.setitem(console.house.settings.__dict__, "upload", small)
    assert send(console, upload, b"x" * 2000).status_code == 413
    with console.house.ledger.read() as conn:
        assert rows.files(conn, upload) == ()


def test_a_body_that_stalls_is_given_up(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.console.api.uploads.SILENCE_SECONDS", 0.3)
    upload = begun(console)
    head = (
        f"POST /api/v1/uploads/{upload}/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        f"Authorization: {console.as_actor()['Authorization']}\r\n\r\nabc"
    )
    with socket.create_connection(("127.0.0.1", console.port), timeout=10) as raw:
        began = time.monotonic()
        raw.sendall(head.encode())
        assert raw.recv(100).split(b" ")[1] == b"504"
        assert time.monotonic() - began < 5
