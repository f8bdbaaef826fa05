"""Broken files: whatever the bytes are, the answer is a file that was searched, or a refusal."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, UltrasoundImageStorage

from integrations.deidentify import Options, deidentify_file
from radloop.domain.errors import Rejected, TooLarge
from radloop.pixels import Limits
from tests.integrations.deidentify import images


def ultrasound() -> Dataset:
    ds, region = images.image(), Dataset()
    ds.SOPClassUID, ds.Modality = UltrasoundImageStorage, "US"
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 2, 2
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 20, 20
    ds.SequenceOfUltrasoundRegions = Sequence([region])
    return ds


WHOLE = [images.in_bytes(images.image()), images.in_bytes(ultrasound())]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    whole=st.sampled_from(WHOLE),
    changes=st.lists(st.tuples(st.integers(132, 1200), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 40),
    mask=st.booleans(),
)
def test_changed_bytes_end_in_a_searched_file_or_a_refusal(
    whole: bytes, changes: list[tuple[int, int]], cut: int, mask: bool
) -> None:
    data = bytearray(whole)
    for at, value in changes:
        data[at] = value
    try:
        out = deidentify_file(bytes(data[: len(data) - cut]), images.KEYS, Options(mask=mask)).data
    except Rejected:
        return
    assert b"quaxweiler" not in out.lower()


def test_a_file_a_picture_deep_sequences_or_many_elements_above_the_limits_are_refused() -> None:
    data = images.in_bytes(images.image())
    with pytest.raises(TooLarge):
        deidentify_file(data, images.KEYS, Options(limits=Limits(file=1000)))
    with pytest.raises(TooLarge):
        deidentify_file(data, images.KEYS, Options(limits=Limits(elements=10)))
    huge = ultrasound()
    huge.file_meta.TransferSyntaxUID, huge.Rows, huge.Columns = JPEG2000Lossless, 65535, 65535
    huge.PixelData = encapsulate([b"\xff\x4f\xff\xd9"])
    with pytest.raises(TooLarge):
        deidentify_file(images.in_bytes(huge), images.KEYS, Options(mask=True))
    deep = images.image()
    deep.update(images.nested(Dataset(), 12))
    with pytest.raises(Rejected):
        deidentify_file(images.in_bytes(deep), images.KEYS, Options(limits=Limits(depth=5)))
