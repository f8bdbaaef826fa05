"""Embeddings: fixed, deterministic, told on the way of one forward pass that they do not change."""

import copy

import numpy as np
import pytest
import torch

from models.catalog import catalog
from models.embedding import DIMENSIONS, HALF, _signs
from models.explanation.gradcam import scores_and_maps
from models.phantoms import chest
from models.preparation import header_facts, to_unit
from models.runtime import LoadedModel, load
from radloop.ledger import acquired

PINNED = [-1, 1, 1, -1, -1, 1, 1, -1, 1, 1, -1, 1, -1, -1, -1, -1]
"""Of a projection that ever changed, embeddings on record could not be compared any more."""


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load(catalog()["cxr_pneumonia"].bundle)


def batch(model: LoadedModel, *seeds: int) -> torch.Tensor:
    made = (chest(seed, opacity=True, rows=256) for seed in seeds)
    return torch.stack([model.prepare(to_unit(ds.pixel_array, header_facts(ds))) for ds in made])


def test_an_image_has_64_finite_numbers_the_same_every_time(model: LoadedModel) -> None:
    first, again = (model.read(batch(model, 1)).embeddings for _ in range(2))
    assert first.shape == (1, DIMENSIONS) == (1, acquired.DIMENSIONS)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.tobytes() == again.tobytes()


def test_company_in_the_batch_moves_nothing_that_matters(model: LoadedModel) -> None:
    alone, together = model.read(batch(model, 2)).embeddings, model.read(batch(model, 1, 2, 3)).embeddings
    assert together[1] == pytest.approx(alone[0], abs=1e-5)
    assert model.embed(batch(model, 1, 2, 3)) == pytest.approx(together, abs=1e-5)


def test_embedding_an_image_leaves_probabilities_and_maps_bit_identical(model: LoadedModel) -> None:
    images = batch(model, 1, 2)
    read = model.read(images)
    logits, maps = scores_and_maps(model.network.votes, model.network.layers(), torch.cat([images, images.flip(3)]))
    bare = model._calibrated((logits[:2] + logits[2:]) / 2)
    assert read.probabilities.tobytes() == bare.tobytes()
    assert read.maps.tobytes() == ((maps[:2] + maps[2:].flip(3)) / 2).numpy().tobytes()


def test_training_moves_the_second_half_alone(model: LoadedModel) -> None:
    trained = LoadedModel(model.spec, copy.deepcopy(model.network))
    for weights in trained.network.parameters():
        weights.add_(0.01)
    before, after = (one.embed(batch(model, 1)) for one in (model, trained))
    assert (before[:, :HALF] == after[:, :HALF]).all()
    assert (before[:, HALF:] != after[:, HALF:]).any()


def test_the_signs_are_those_of_every_machine() -> None:
    assert set(np.unique(_signs(1088).numpy())) == {-1.0, 1.0}
    assert [int(sign) for sign in _signs(128)[0, :16]] == PINNED
