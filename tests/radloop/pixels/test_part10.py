import struct
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radloop.domain.errors import Rejected, TooLarge, Unparsable
from radloop.pixels import Limits, read_header, split
from tests.radloop.pixels import samples

EXPLICIT = "1.2.840.10008.1.2.1"


def test_every_bundled_file_is_read_without_pixels_or_refused() -> None:
    read = 0
    for path in samples.bundled():
        try:
            ds = read_header(path.read_bytes())
        except Rejected:
            continue
        assert "PixelData" not in ds
        assert ds.file_meta.TransferSyntaxUID
        read += 1
    assert read > 140


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_no_mutation_of_a_real_file_makes_it_raise_anything_but_rejected(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([path for path in samples.bundled() if path.stat().st_size < 40_000]))
    changed = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, min(len(changed), 3000) - 1)))
        changed[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    try:
        ds = read_header(changed)
    except Rejected:
        return
    for element in ds.iterall():
        assert element.value is not NotImplemented


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_but_rejected(data: bytes) -> None:
    for candidate in (data, b"\0" * 128 + b"DICM" + data, samples.file_of(data, EXPLICIT)):
        with suppress(Rejected):
            read_header(candidate)


@pytest.mark.parametrize("make", [samples.nested_undefined, samples.nested_defined])
def test_20000_levels_are_refused(make: object) -> None:
    with pytest.raises(Rejected):
        read_header(samples.file_of(make(20_000), EXPLICIT))  # type: ignore[operator]


def test_a_few_levels_are_read() -> None:
    ds = read_header(samples.file_of(samples.nested_undefined(5), EXPLICIT))
    assert len(list(ds.iterall())) == 5


def test_a_deflate_bomb_is_too_large() -> None:
    data = samples.file_of(samples.deflate(bytes(8 << 20)), samples.DEFLATED)
    with pytest.raises(TooLarge):
        read_header(data, Limits(inflated=1 << 20))


def test_a_deflated_file_is_read() -> None:
    body = bytes(split(samples.encode(samples.image())).dataset)
    ds = read_header(samples.file_of(samples.deflate(body), samples.DEFLATED))
    assert (ds.Modality, ds.file_meta.TransferSyntaxUID) == ("CT", samples.DEFLATED)


def test_more_elements_than_the_limit_are_too_large() -> None:
    with pytest.raises(TooLarge):
        read_header(samples.encode(samples.image()), Limits(elements=10))


def test_a_value_that_does_not_fit_its_vr_is_left_out_and_the_rest_stays() -> None:
    rows = struct.pack("<HH2sH", 0x28, 0x10, b"US", 3) + b"abc"
    columns = struct.pack("<HH2sHH", 0x28, 0x11, b"US", 2, 7)
    ds = read_header(samples.file_of(rows + columns, EXPLICIT))
    assert "Rows" not in ds
    assert ds.Columns == 7


def test_a_truncated_file_is_unparsable() -> None:
    with pytest.raises(Unparsable):
        read_header(samples.encode(samples.image())[:-1])


def test_a_refusal_holds_no_patient_data() -> None:
    data = samples.encode(samples.image())
    for cut in range(132, len(data), 37):
        with pytest.raises(Rejected) as caught:
            read_header(data[:cut] + b"\xff")
        assert samples.TOKEN not in str(caught.value)
