from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from models.catalog import catalog
from models.phantoms import brain_slices, chest
from models.preparation import header_facts
from models.runtime import load
from models.training.arrays import stacked
from models.training.copies import Prepared, large_side, pack, prepare, unpack
from radloop.domain.errors import IntegrityError
from radloop.domain.learning import Facts
from radloop.pixels import DecodePool, read_header
from radloop.store import Keyring, LocalStore
from serving.inference.contract import Reference
from serving.inference.looking import Eye, View
from tests.peers.dicom_files import part10


def padded(ds: Dataset) -> Dataset:
    ds.PixelPaddingValue = int(ds.pixel_array.min())
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "2", "-100", "US"
    return ds


def inverted(ds: Dataset) -> Dataset:
    ds.PhotometricInterpretation = "MONOCHROME1"
    return ds


@pytest.mark.parametrize(
    ("name", "ds"),
    [
        ("cxr_pneumonia", chest(1, opacity=True, rows=320)),
        ("cxr_pneumonia", inverted(chest(2, opacity=False, rows=256))),
        ("cxr_pneumonia", padded(chest(3, opacity=True, rows=300))),
        ("brain_mr_tumour", brain_slices(4, lesion=True, count=1)[0]),
    ],
)
def test_small_is_bit_for_bit_what_the_served_model_sees(name: str, ds: Dataset, tmp_path: Path) -> None:
    data = part10(ds)
    model = load(catalog()[name].bundle)
    store = LocalStore(tmp_path / "store", Keyring.create(tmp_path / "keys"))
    with DecodePool(1) as pool, ThreadPoolExecutor(1) as threads:
        eye = Eye(store, pool, threads, threads)
        view = eye.look(Reference(id="in_1", key=store.put(data).key), model, keep=False)
        prepared = prepare(pool.decode(data).pixels, header_facts(read_header(data)), model.spec.input_size)
    assert isinstance(view, View)
    kept = unpack(pack(prepared))
    assert kept.small.tobytes() == view.tensor.numpy()[0].tobytes()
    assert kept.large.shape == (large_side(model.spec.input_size),) * 2
    assert kept.pixel_sha256 == prepared.pixel_sha256


@given(st.binary(max_size=200))
def test_bytes_that_are_no_copy_are_an_integrity_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        unpack(data)


def test_a_copy_holds_two_arrays_and_no_word() -> None:
    prepared = prepare(chest(5, opacity=True, rows=256).pixel_array, header_facts(chest(5, opacity=True, rows=256)), 96)
    data = pack(prepared)
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].decode().strip()
    assert "metadata" not in header
    assert len(data) == 8 + size + 96 * 96 * 4 + 128 * 128 * 2


def copy_of(value: float, side: int = 6) -> Prepared:
    return Prepared(np.full((side, side), value, np.float32), np.full((large_side(side),) * 2, value, np.float16))


def test_arrays_keep_order_and_take_rows() -> None:
    facts = [Facts(site=name) for name in "abc"]
    arrays = stacked([copy_of(0.1), copy_of(0.2), copy_of(0.3)], [0, 1, 1], ["p", "q", "p"], facts)
    assert arrays.small[:, 0, 0].tolist() == np.array([0.1, 0.2, 0.3], np.float32).tolist()
    assert arrays.large.dtype == arrays.small.dtype == arrays.labels.dtype == np.float32
    some = arrays.take(np.array([2, 0]))
    assert len(some) == 2
    assert some.groups.tolist() == ["p", "p"]
    assert [one.site for one in some.facts] == ["c", "a"]
    assert some.small[0, 0, 0] == np.float32(0.3)


@pytest.mark.parametrize("copies", [[], [copy_of(0.1)], [copy_of(0.1)] * 3, [copy_of(0.1), copy_of(0.1, side=9)]])
def test_copies_that_do_not_fit_their_labels_are_an_integrity_error(copies: list[Prepared]) -> None:
    with pytest.raises(IntegrityError):
        stacked(copies, [0, 1], ["p", "q"], [Facts(), Facts()])
