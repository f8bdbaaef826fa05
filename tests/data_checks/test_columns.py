import numpy as np
import pytest

from data_checks.columns import Columns, codes, joined
from tests.data_checks.made_rows import Wanted, made, none_of


def test_rows_are_taken_from_every_column_alike() -> None:
    rows = made(Wanted(count=20, seed=1))
    taken = rows.take(np.array([7, 3]))
    assert taken.ids.tolist() == [rows.ids[7], rows.ids[3]]
    assert taken.numeric["kvp"].tolist() == rows.numeric["kvp"][[7, 3]].tolist()
    assert taken.categorical["view"].tolist() == rows.categorical["view"][[7, 3]].tolist()
    assert taken.embedding is not None and rows.embedding is not None
    assert np.array_equal(taken.embedding, rows.embedding[[7, 3]])
    assert len(rows.latest(5)) == 5 and rows.latest(5).ids[-1] == rows.ids[-1]
    assert len(rows.latest(99)) == 20
    assert len(none_of(rows)) == 0


def test_columns_of_different_lengths_are_refused() -> None:
    rows = made(Wanted(count=4, seed=1))
    with pytest.raises(ValueError, match="different lengths"):
        Columns(
            ids=rows.ids, at=rows.at, numeric={"kvp": np.zeros(3)}, categorical={}, sites=rows.sites,
            devices=rows.devices, disagree=rows.disagree,
        )  # fmt: skip


def test_a_text_has_the_same_code_whatever_the_width_of_its_array() -> None:
    narrow, wide = np.array(["VB30", "", "é"]), np.array(["VB30", "", "é", "something much longer"])
    assert codes(narrow).tolist() == codes(wide)[:3].tolist()
    assert len(set(codes(np.array([f"{n}" for n in range(20_000)])).tolist())) == 20_000


def test_the_code_of_a_combination_depends_on_which_column_has_which_text() -> None:
    left, right = np.array(["a", "b", "a"]), np.array(["b", "a", "b"])
    found = joined((left, right))
    assert found[0] == found[2] != found[1]
