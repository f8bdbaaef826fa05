"""The final search fails closed: where the cleaning is made to leak, nothing comes out."""

from collections.abc import Callable

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from integrations.deidentify import Leaked, core, deidentify_dataset
from integrations.deidentify.cleaning import Cleaner
from integrations.deidentify.needles import Needles, collect
from integrations.deidentify.patterns import looks_like
from integrations.deidentify.searching import expected, search
from radloop.pixels import Limits
from tests.integrations.deidentify import images


def as_it_is(_: Cleaner, element: DataElement, action: object) -> DataElement:
    return element


@pytest.mark.parametrize(
    ("rule", "attribute"),
    [
        ("person", "ReferringPhysicianName"),
        ("uid", "SOPInstanceUID"),
        ("moment", "StudyDate"),
        ("text", "AccessionNumber"),
    ],
)
def test_a_file_is_held_back_where_one_rule_is_missing(
    rule: str, attribute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cleaner, rule, as_it_is)
    with pytest.raises(Leaked, match=attribute) as found:
        deidentify_dataset(images.image(), images.KEYS)
    for secret in (images.PATIENT_ID, "Brontowski", "20240229", "881726", "498.77"):
        assert secret not in str(found.value)


def test_a_code_string_that_is_a_name_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cleaner, "term", as_it_is)
    ds = images.image()
    ds.BodyPartExamined = "QUAXWEILER"
    with pytest.raises(Leaked):
        deidentify_dataset(ds, images.KEYS)


def test_a_number_that_is_an_identifier_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cleaner, "number", as_it_is)
    ds = images.image()
    ds.PatientID, ds.AcquisitionNumber = "20771433", "20771433"
    with pytest.raises(Leaked, match="AcquisitionNumber"):
        deidentify_dataset(ds, images.KEYS)


def private(ds: Dataset) -> None:
    ds.private_block(0x0029, "ACME", create=True).add_new(1, "DS", "1.5")


def overlay(ds: Dataset) -> None:
    ds.add_new(0x60000010, "US", 8)


def unknown(ds: Dataset) -> None:
    ds.add_new(0x00181234, "UN", b"..")


def old(ds: Dataset) -> None:
    ds.PatientAge = "091Y"


def telephone(ds: Dataset) -> None:
    ds.Manufacturer = "call +49 761 270 4711"


def unmoved(ds: Dataset) -> None:
    ds.ContentDate = "20240302"


def foreign(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.77.9"


def name_in_pixels(ds: Dataset) -> None:
    ds.BitsStored, ds.HighBit = 16, 15
    ds.PixelData = b"..Quaxweiler" + ds.PixelData[12:]


def identifier_as_wide_text(ds: Dataset) -> None:
    ds.BitsStored, ds.HighBit = 16, 15
    ds.PixelData = images.PATIENT_ID.encode("utf-16-le") + ds.PixelData[20:]


ADDED = (private, overlay, unknown, old, telephone, unmoved, foreign, name_in_pixels, identifier_as_wide_text)


@pytest.mark.parametrize("add", ADDED, ids=[add.__name__ for add in ADDED])
def test_whatever_comes_back_after_the_cleaning_is_found(
    add: Callable[[Dataset], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned = Cleaner.dataset

    def leaking(self: Cleaner, ds: Dataset, depth: int = 0) -> Dataset:
        out = cleaned(self, ds, depth)
        if depth == 0:
            add(out)
        return out

    monkeypatch.setattr(Cleaner, "dataset", leaking)
    with pytest.raises(Leaked):
        deidentify_dataset(images.image(), images.KEYS)


def written(monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]) -> None:
    part10 = core.part10
    monkeypatch.setattr(core, "part10", lambda ds, syntax: change(part10(ds, syntax)))


def test_a_preamble_and_trailing_bytes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Leaked, match="preamble"):
        written(patch, lambda data: b"MZ" + data[2:])
        deidentify_dataset(images.image(), images.KEYS)
    with monkeypatch.context() as patch, pytest.raises(Leaked):
        written(patch, lambda data: data + b"tail")
        deidentify_dataset(images.image(), images.KEYS)


def test_the_file_meta_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Leaked, match="file meta"):
        written(monkeypatch, lambda data: data.replace(b"RADLOOP_DEID", b"ZK-4471902.."))
        deidentify_dataset(images.image(), images.KEYS)


def test_an_untouched_input_is_full_of_hits() -> None:
    ds = images.image()
    needles = collect(ds, Limits())
    with pytest.raises(Leaked):
        search(images.in_bytes(ds), expected(images.KEYS, "P-X", needles), Limits())


@pytest.mark.parametrize(
    "text",
    [
        "mail e.b@klinik.example", "https://pacs", "10.0.3.17", "1.2.840.113619.2.55.3", "number 4471902",
        "123-45-6789", "on 2024-02-29", "29.02.2024", "3 March 2024", "Dr. Brontowski", "Doe^Jane", "+49 761 2704711",
    ],
)  # fmt: skip
def test_patterns_find_what_is_written_the_usual_ways(text: str) -> None:
    assert looks_like(text)


@pytest.mark.parametrize("text", ["SIEMENS", "syngo MR D13D 4VA", "*tse2d1_9", "H30s", "LightSpeed Plus", "VIA5.2"])
def test_patterns_leave_technical_texts_alone(text: str) -> None:
    assert looks_like(text) is None


def test_needles_that_were_never_collected_hold_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Needles(frozenset(), frozenset(), frozenset(), frozenset(), frozenset())
    monkeypatch.setattr(core, "collect", lambda _ds, _limits: nothing)
    with pytest.raises(Leaked):
        deidentify_dataset(images.image(), images.KEYS)


def test_needles_never_show_themselves() -> None:
    assert "Quaxweiler".casefold() not in repr(collect(images.image(), Limits()))
