import struct
import warnings
from contextlib import suppress
from io import BytesIO

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radloop.domain.errors import Rejected, TooLarge, Unparsable
from radloop.pixels import parse_identity, split
from radloop.pixels.elements import inflate
from tests.radloop.pixels import samples

SYNTAXES = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    samples.DEFLATED,
    "1.2.840.10008.1.2.4.90",
]
EXPLICIT = SYNTAXES[1]
UIDS = {"SOPInstanceUID": "sop_uid", "StudyInstanceUID": "study_uid", "SeriesInstanceUID": "series_uid"}


def body(**attributes: object) -> memoryview:
    return split(samples.encode(samples.image(**attributes))).dataset  # type: ignore[arg-type]


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    if vr in {b"SQ", b"UN", b"OB"}:
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def test_it_reads_what_pydicom_reads_of_every_bundled_file() -> None:
    read = 0
    for name, syntax, data_set in samples.data_sets():
        try:
            header = parse_identity(data_set, syntax)
        except Unparsable:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(BytesIO(next(p for p in samples.bundled() if p.name == name).read_bytes()))
        assert header.sop_uid == ds.SOPInstanceUID, name
        assert header.study_uid == ds.StudyInstanceUID, name
        assert header.modality == ds.get("Modality", ""), name
        assert header.accession_number == (ds.get("AccessionNumber") or ""), name
        assert header.patient_id == (ds.get("PatientID") or "").strip(), name
        read += 1
    assert read > 100


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
def test_no_bytes_make_it_raise_anything_but_rejected(data: bytes, syntax: str) -> None:
    with suppress(Rejected):
        parse_identity(data, syntax)


SMALL = [(syntax, bytes(body)) for _, syntax, body in samples.data_sets() if len(body) < 40_000]


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_mutation_of_a_real_file_makes_it_raise_anything_but_rejected(data: st.DataObject) -> None:
    syntax, data_set = data.draw(st.sampled_from(SMALL))
    changed = bytearray(data_set)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, min(len(changed), 2000) - 1)))
        changed[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with suppress(Rejected):
        parse_identity(changed, syntax)


@pytest.mark.parametrize("text", ["../../etc/passwd", "a\x07b\x1bc", "O'Brien; DROP", "Müller", "x" * 900])
def test_a_patient_id_is_opaque_text_and_survives(text: str) -> None:
    data = element(8, 0x16, b"UI", b"1.2\0") + element(8, 0x18, b"UI", b"1.3\0")
    raw = text.encode()
    data += element(0x10, 0x20, b"LO", raw + b" " * (len(raw) % 2))
    data += element(0x20, 0xD, b"UI", b"1.4\0") + element(0x20, 0xE, b"UI", b"1.5\0")
    assert parse_identity(data, EXPLICIT).patient_id == text


@pytest.mark.parametrize("uid", ["", "../../x", "1.2\r\n", "1.2/3", "1" * 65, "1.2.a", " "])
@pytest.mark.parametrize("keyword", sorted(UIDS))
def test_a_missing_or_invalid_uid_is_unparsable_and_not_quoted(keyword: str, uid: str) -> None:
    values = {"SOPInstanceUID": b"1.2 ", "StudyInstanceUID": b"1.3 ", "SeriesInstanceUID": b"1.4 "}
    values[keyword] = uid.encode() + b"\0" * (len(uid) % 2)
    data = element(8, 0x16, b"UI", b"1.2\0") + element(8, 0x18, b"UI", values["SOPInstanceUID"])
    data += element(0x20, 0xD, b"UI", values["StudyInstanceUID"]) + element(
        0x20, 0xE, b"UI", values["SeriesInstanceUID"]
    )
    with pytest.raises(Unparsable) as caught:
        parse_identity(data, EXPLICIT)
    assert str(caught.value) == f"the data set has no valid {UIDS[keyword]}"


def test_a_data_set_without_series_uid_is_unparsable() -> None:
    ds = samples.image()
    del ds.SeriesInstanceUID
    with pytest.raises(Unparsable):
        parse_identity(split(samples.encode(ds)).dataset, EXPLICIT)


def test_sequences_of_undefined_length_are_skipped_and_not_mistaken_for_the_top_level() -> None:
    inner = element(8, 0x18, b"UI", b"9.9\0") + element(0x20, 0xD, b"UI", b"9.8\0")
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    sequence = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    data = element(8, 0x16, b"UI", b"1.2\0") + element(8, 0x18, b"UI", b"1.3\0") + sequence
    data += element(0x20, 0xD, b"UI", b"1.4\0") + element(0x20, 0xE, b"UI", b"1.5\0")
    assert parse_identity(data, EXPLICIT).study_uid == "1.4"


@pytest.mark.parametrize("make", [samples.nested_undefined, samples.nested_defined])
def test_20000_levels_cost_neither_stack_nor_time(make: object) -> None:
    data = make(20_000) + bytes(body())  # type: ignore[operator]
    try:
        parse_identity(data, EXPLICIT)
    except Unparsable as error:
        assert "nest" in str(error)


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 4096])
def test_a_length_that_lies_is_unparsable(length: int) -> None:
    data = struct.pack("<HH2sHI", 8, 0x16, b"UN", 0, length) + b"1.2"
    with pytest.raises(Unparsable):
        parse_identity(data, EXPLICIT)


def test_a_cut_data_set_is_unparsable_wherever_it_was_cut() -> None:
    whole = body()
    assert parse_identity(whole, EXPLICIT).modality == "CT"
    for size in (len(whole) - 1, len(whole) // 2):
        with pytest.raises(Unparsable):
            parse_identity(whole[:size], EXPLICIT)


def test_a_deflated_data_set_gives_the_same_identifiers() -> None:
    plain = bytes(body())
    assert parse_identity(samples.deflate(plain), samples.DEFLATED).sop_uid == parse_identity(plain, EXPLICIT).sop_uid


def test_a_deflate_bomb_stops_at_the_limit() -> None:
    bomb = samples.deflate(bytes(64 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(Unparsable):
        parse_identity(bomb, samples.DEFLATED)
    with pytest.raises(TooLarge):
        inflate(bomb, 1 << 20)
