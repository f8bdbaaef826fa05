"""Grounds: read by name, refused where they are not what they should be, made by the project's own command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import zoo
from models.catalog import catalog
from models.embedding import HALF
from models.grounding import KINDS, made
from models.grounds import FILE, ground_of, parse_ground
from models.phantoms import chest
from models.runtime import load
from radloop.domain.errors import IntegrityError

SHIPPED = sorted(KINDS)


@pytest.mark.parametrize("model", SHIPPED)
def test_every_model_of_the_zoo_has_a_ground_of_numbers_that_says_where_it_is_from(model: str) -> None:
    ground = ground_of(model)
    assert ground is not None
    assert set(catalog()) == set(SHIPPED)
    for family in ground.families:
        assert len(family.mean) == len(family.inverted) == len(family.precision) == HALF
        assert family.images >= 90
        assert np.linalg.eigvalsh(np.array(family.precision)).min() > 0
        assert set(family.low) == {"sharpness"}
        assert set(family.high) == {"clipped_high", "clipped_low"}
    said = json.loads((Path(next(iter(zoo.__path__))) / model / FILE).read_bytes())
    assert [one["source"] for one in said["families"]] == [kind.source for kind in KINDS[model]]


def test_a_model_that_nobody_made_one_for_has_none(tmp_path: Path) -> None:
    assert ground_of("unheard_of", tmp_path) is None


def test_a_sites_own_ground_beats_the_zoos_and_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    shipped = Path(next(iter(zoo.__path__))) / "cxr_pneumonia" / FILE
    said = json.loads(shipped.read_bytes())
    path = tmp_path / "cxr_pneumonia" / FILE
    path.parent.mkdir()
    path.write_text(json.dumps({**said, "families": said["families"][:1]}))
    first = ground_of("cxr_pneumonia", tmp_path)
    assert first is not None and len(first.families) == 1
    path.write_text(json.dumps({**said, "families": said["families"][:2]}))
    again = ground_of("cxr_pneumonia", tmp_path)
    assert again is not None and len(again.families) == 2


@pytest.mark.parametrize(
    "spoilt",
    [{"format": 2}, {"families": []}, {"families": [{"name": "x"}]}, {"model": "brain_mr_tumour"}],
)
def test_a_ground_that_is_none_is_refused(tmp_path: Path, spoilt: dict[str, object]) -> None:
    said = json.loads((Path(next(iter(zoo.__path__))) / "cxr_pneumonia" / FILE).read_bytes())
    (tmp_path / "cxr_pneumonia").mkdir()
    (tmp_path / "cxr_pneumonia" / FILE).write_text(json.dumps({**said, **spoilt}))
    with pytest.raises(IntegrityError):
        ground_of("cxr_pneumonia", tmp_path)


def test_the_same_images_make_the_same_ground() -> None:
    model = load(catalog()["cxr_pneumonia"].bundle)
    images = [chest(seed, opacity=False, rows=128) for seed in range(12)]
    kind = replace(KINDS["cxr_pneumonia"][1], images=lambda _: images)
    first, again = (made(model, kind, None) for _ in range(2))
    assert first == again
    (family,) = parse_ground(json.dumps({"format": 1, "model": "cxr_pneumonia", "families": [first]}).encode()).families
    assert family.images == 12
    assert made(model, replace(kind, images=lambda _: []), None) is None
