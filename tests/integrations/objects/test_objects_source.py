"""What is read of poor headers: no value of theirs may raise, warn, or break an object of ours."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file

from integrations.objects import values
from integrations.objects.catalog import encoders
from integrations.objects.source import read_source
from radloop.domain.enums import ObjectKind
from tests.integrations.objects import answers, reading

JAPANESE = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
HALF_WIDTH = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
KOREAN = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
NAMES = [
    (b"\\ISO 2022 IR 87", JAPANESE, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (b"ISO 2022 IR 13\\ISO 2022 IR 87", HALF_WIDTH, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    (b"\\ISO 2022 IR 87", b"Haru^X=\x1b$B=U\x1b(B^X", "Haru^X=春^X"),
    (b"\\ISO 2022 IR 149", KOREAN, "Hong^Gildong=洪^吉洞=홍^길동"),
    (b"ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    (b"ISO_IR 144", "Люксембург^Роза".encode("iso8859_5"), "Люксембург^Роза"),
    (b"ISO_IR 192", "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
    (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    (b"ISO_IR 999", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    (b"", "Müller^Jörg".encode(), "Müller^Jörg"),
    (b"", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
]


@pytest.mark.parametrize(("charset", "raw", "name"), NAMES)
def test_a_name_in_any_character_set_arrives_in_every_object_as_it_was_written(
    charset: bytes, raw: bytes, name: str
) -> None:
    ctx = answers.context(sources=[answers.header(SpecificCharacterSet=charset, PatientName=raw)])
    assert read_source(ctx).subject.name == name
    (report,) = encoders()[ObjectKind.SR].encode(ctx)
    assert str(reading.dicom(report).PatientName) == name
    encoders()[ObjectKind.SR].validate(report, ctx)
    (oru,) = encoders()[ObjectKind.ORU].encode(ctx)
    (pid,) = [fields for fields in reading.segments(oru.data) if fields[0] == "PID"]
    assert [part.partition("^")[0] for part in pid[5].split("~")] == [g.partition("^")[0] for g in name.split("=")]


@pytest.mark.parametrize(
    ("keyword", "raw"),
    [
        ("PatientBirthDate", b"around 1970"),
        ("PatientBirthDate", b"19700231"),
        ("PatientSex", b"unknown"),
        ("StudyDate", b"04/03/2026"),
        ("StudyTime", b"late"),
        ("PatientAge", b"fifty"),
        ("PatientSize", b"tall"),
        ("PatientWeight", b"-70"),
        ("StudyID", b"an id longer than sixteen characters"),
        ("AccessionNumber", b"accession\\with\\backslashes"),
        ("PatientID", b"X" * 100),
        ("TimezoneOffsetFromUTC", b"CEST"),
        ("LossyImageCompressionRatio", b"tenfold"),
        ("NumberOfFrames", b"many frames"),
        ("PatientOrientation", b"up\\down\\sideways"),
        ("RequestAttributesSequence", b"\xfe\xff\x00\xe0\xff\xff\xff\x7fgarbage"),
    ],
)
def test_a_value_that_breaks_its_vr_is_left_out_and_the_objects_stay_valid(keyword: str, raw: bytes) -> None:
    ctx = answers.context(sources=[answers.header(**{keyword: raw})])
    for kind, encoder in encoders().items():
        (obj,) = encoder.encode(ctx)
        encoder.validate(obj, ctx)
        if kind in (ObjectKind.SR, ObjectKind.SC):
            assert raw not in obj.data


def test_an_identifier_is_never_cut_to_fit() -> None:
    ctx = answers.context(sources=[answers.header(PatientID=b"P" * 65, AccessionNumber=b"A" * 17)])
    (obj,) = encoders()[ObjectKind.SR].encode(ctx)
    ds = reading.dicom(obj)
    assert ds.AccessionNumber == ""
    assert ds.PatientID == answers.ORDER.patient_id


def test_times_are_in_the_offset_that_the_images_declare() -> None:
    ctx = answers.context(sources=[answers.header(TimezoneOffsetFromUTC="-0930")])
    (obj,) = encoders()[ObjectKind.SR].encode(ctx)
    ds = reading.dicom(obj)
    assert (ds.TimezoneOffsetFromUTC, ds.ContentDate, ds.ContentTime) == ("-0930", "20260303", "193607")


@pytest.mark.parametrize("file", ["CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "ExplVR_BigEnd.dcm", "rtdose.dcm"])
def test_the_headers_of_real_files_make_valid_objects(file: str) -> None:
    path = get_testdata_file(file)
    assert path is not None
    ds = dcmread(path, force=True, stop_before_pixels=True)
    ctx = answers.context(sources=[ds])
    for encoder in encoders().values():
        (obj,) = encoder.encode(ctx)
        encoder.validate(obj, ctx)


def test_a_header_read_from_bytes_says_the_same_as_one_made_in_memory() -> None:
    made = answers.header()
    with io.BytesIO() as buffer:
        made.save_as(buffer, implicit_vr=True, little_endian=True)
        received = dcmread(io.BytesIO(buffer.getvalue()), force=True)
    assert read_source(answers.context(sources=[received])) == read_source(answers.context(sources=[made]))


@given(st.text())
def test_what_was_cleaned_is_one_line_without_control_characters(text: str) -> None:
    for clean in (values.plain(text), values.long_text(text), values.identifier(text), values.person_name(text)):
        assert clean.isprintable() or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in clean)
        assert len(clean.splitlines()) <= 1
        clean.encode("utf-8")


@given(st.text())
@settings(max_examples=200)
def test_an_identifier_is_the_same_or_nothing(text: str) -> None:
    assert values.identifier(text) in ("", text.strip(" "))


@given(st.text(alphabet="a^= ü", max_size=300))
def test_a_name_keeps_to_its_groups_components_and_lengths(text: str) -> None:
    groups = values.person_name(text).split("=")
    assert len(groups) <= 3
    assert all(len(group) <= 64 and group.count("^") <= 4 for group in groups)
