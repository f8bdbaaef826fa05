"""Pixels: lettering is refused or blacked out, comments of codecs are written over, the picture stays the same."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from integrations.deidentify import BurnedIn, NotAnImage, Options, Unsearchable, deidentify_dataset, deidentify_file
from integrations.deidentify.lettering import find_lettering
from integrations.deidentify.streams import without_comments
from radloop.pixels import decode
from tests.integrations.deidentify import images

MASK = Options(mask=True)
SECRET = b"QUAXWEILER 19310203"


@pytest.mark.parametrize("size", [12, 16, 24, 40])
def test_lettering_is_found_and_soft_pictures_hold_none(size: int) -> None:
    assert find_lettering(images.lettered("ZK 4471902", size).astype(np.float32))
    assert not find_lettering(images.hills(256, 384).astype(np.float32))
    assert not find_lettering(np.zeros((64, 64), np.float32))


def test_dark_lettering_is_found_too() -> None:
    assert find_lettering(-images.lettered("SMITH JOHN 31").astype(np.float32))


def test_upright_lettering_is_found_too() -> None:
    picture = images.lettered("SMITH JOHN 31", 24)
    for turned in (np.rot90(picture), np.rot90(picture, 3)):
        assert find_lettering(turned.astype(np.float32))


def test_an_image_with_lettering_is_refused_or_blacked_out() -> None:
    ds = images.image(images.lettered("QUAXWEILER 4471902"))
    with pytest.raises(BurnedIn, match="--mask"):
        deidentify_dataset(ds, images.KEYS)
    found = deidentify_dataset(ds, images.KEYS, MASK)
    assert not find_lettering(found.pixel_array.astype(np.float32))
    assert "113101" in [code.CodeValue for code in found.DeidentificationMethodCodeSequence]
    assert (found.pixel_array[100:] == images.hills(256, 384)[100:]).all()
    assert found.pixel_array[10:28].max() < 4095


def test_an_image_that_says_it_has_text_is_refused_where_none_is_found() -> None:
    ds = images.image()
    ds.BurnedInAnnotation = "YES"
    for options in (Options(), MASK):
        with pytest.raises(BurnedIn):
            deidentify_dataset(ds, images.KEYS, options)


def test_a_capture_is_refused_and_with_masks_no_claim_is_made_for_it() -> None:
    ds = images.image()
    ds.SOPClassUID = SecondaryCaptureImageStorage
    with pytest.raises(BurnedIn):
        deidentify_dataset(ds, images.KEYS)
    assert "BurnedInAnnotation" not in deidentify_dataset(ds, images.KEYS, MASK)


def test_ultrasound_is_blacked_out_around_its_regions() -> None:
    ds = images.image(images.hills(64, 96))
    ds.SOPClassUID, ds.Modality = UltrasoundImageStorage, "US"
    with pytest.raises(BurnedIn, match="regions"):
        deidentify_dataset(ds, images.KEYS, MASK)
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 10, 20
    ds.SequenceOfUltrasoundRegions = Sequence([region])
    with pytest.raises(BurnedIn, match="describe"):
        deidentify_dataset(ds, images.KEYS, MASK)
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 49, 59
    ds.SequenceOfUltrasoundRegions = Sequence([region])
    pixels = deidentify_dataset(ds, images.KEYS, MASK).pixel_array
    assert (pixels[20:60, 10:50] == images.hills(64, 96)[20:60, 10:50]).all()
    outside = np.ones(pixels.shape, dtype=bool)
    outside[20:60, 10:50] = False
    assert not pixels[outside].any()


def test_a_page_of_text_is_no_image() -> None:
    picture = np.hstack([np.vstack([images.lettered("QUAXWEILER 4471902 SMITH JOHN", 14)[:24]] * 10)])
    with pytest.raises(BurnedIn, match="full of"):
        deidentify_dataset(images.image(picture), images.KEYS, MASK)


@pytest.mark.parametrize(
    "name", ["JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_rle_2frame.dcm"]
)
def test_compressed_pixels_stay_the_same(name: str) -> None:
    data = _shipped(name)
    found = deidentify_file(data, images.KEYS, MASK)
    if not found.masked:
        assert (decode(found.data).pixels == decode(data).pixels).all()


def test_comments_in_jpeg_are_written_over() -> None:
    data = _jpeg(b"\xff\xfe" + (len(SECRET) + 2).to_bytes(2, "big") + SECRET + b"\xff\xe1\x00\x08Exif..")
    cleaned = without_comments(encapsulate([data]), str(JPEGBaseline8Bit), 1)
    assert SECRET not in cleaned
    assert b"Exif" not in cleaned
    assert len(cleaned) == len(encapsulate([data]))


def test_bytes_after_the_end_of_a_compressed_image_are_zeroed() -> None:
    cleaned = without_comments(encapsulate([_jpeg(b"") + SECRET]), str(JPEGBaseline8Bit), 1)
    assert SECRET not in cleaned


def test_comments_in_jpeg_2000_are_written_over_in_the_main_header_and_the_tile() -> None:
    comment = b"\xff\x64" + (len(SECRET) + 4).to_bytes(2, "big") + b"\x00\x01" + SECRET
    tile = comment + b"\xff\x93data"
    start = b"\xff\x90\x00\x0a\x00\x00" + (12 + len(tile)).to_bytes(4, "big") + b"\x00\x01"
    data = b"\xff\x4f" + comment + start + tile + b"\xff\xd9" + SECRET
    cleaned = without_comments(encapsulate([data]), str(JPEG2000Lossless), 1)
    assert SECRET not in cleaned
    assert b"data\xff\xd9" in cleaned


@pytest.mark.parametrize(
    "broken", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe1\xff\xff", b"\xff\xd8\xff\xda\x00\x02..", b"GIF89a"]
)
def test_a_broken_compressed_image_is_held_back(broken: bytes) -> None:
    with pytest.raises(Unsearchable):
        without_comments(
            encapsulate([broken]) if broken else b"\xfe\xff\x00\xe0\xff\xff\xff\x7f", str(JPEGBaseline8Bit), 1
        )


def test_a_table_of_offsets_that_is_none_is_held_back() -> None:
    data = bytearray(encapsulate([_jpeg(b"")], has_bot=True))
    assert without_comments(bytes(data), str(JPEGBaseline8Bit), 1) == bytes(data)
    data[8:12] = b"Quax"
    with pytest.raises(Unsearchable, match="offsets"):
        without_comments(bytes(data), str(JPEGBaseline8Bit), 1)


def test_video_and_objects_without_pixels_are_refused() -> None:
    ds = images.image()
    ds.file_meta.TransferSyntaxUID = MPEG2MPML
    ds.PixelData = encapsulate([b"video"])
    with pytest.raises(Unsearchable):
        deidentify_dataset(ds, images.KEYS)
    report = images.image()
    del report.PixelData
    with pytest.raises(NotAnImage):
        deidentify_dataset(report, images.KEYS)


def test_an_overlay_inside_compressed_pixels_is_refused() -> None:
    ds = images.image()
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    ds.PixelData = encapsulate([b"\xff\x4f\xff\xd9"])
    ds.add_new(0x60000100, "US", 16)
    with pytest.raises(Unsearchable, match="overlay"):
        deidentify_dataset(ds, images.KEYS)


def _jpeg(segments: bytes) -> bytes:
    """The frame of a JPEG, as far as a walk over its segments sees it."""
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\xff\x00\x34\xff\xd0\x56"
    return b"\xff\xd8" + segments + scan + b"\xff\xd9"


def _shipped(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()
