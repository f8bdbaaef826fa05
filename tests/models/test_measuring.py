"""Having versions answer: scores, golden images, and in what two bundles differ."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from models import bundles
from models.catalog import catalog
from models.change_plan import Aspect, GoldenGate
from models.evaluation import measuring
from models.evaluation.scope import ASPECTS, changed
from models.runtime import INFERENCE, LoadedModel, load
from models.spec import CARD, MANIFEST
from radloop.domain.errors import IntegrityError, Rejected
from tests.serving.inference.bundle import TARGET, write_tiny

ZOO = catalog()["brain_mr_tumour"]
GATE = GoldenGate(images=4, seed=11)


@pytest.fixture
def tiny(tmp_path: Path) -> LoadedModel:
    return load(write_tiny(tmp_path / "tiny"))


def test_a_version_scores_the_test_set_as_results_record_it(tiny: LoadedModel) -> None:
    small = np.random.default_rng(0).random((70, 64, 64), np.float32)
    found = measuring.score(tiny, small, TARGET)
    one_by_one = [float(tiny.predict(torch.from_numpy(image[None, None]))[0, 0]) for image in small]
    assert found.probabilities == pytest.approx(np.round(one_by_one, 4), abs=1.1e-4)
    assert found.threshold == 0.5
    assert (found.calls == (found.probabilities >= 0.5)).all()


def test_images_of_another_size_and_targets_it_does_not_know_are_refused(tiny: LoadedModel) -> None:
    with pytest.raises(Rejected, match="another size"):
        measuring.score(tiny, np.zeros((2, 96, 96), np.float32), TARGET)
    with pytest.raises(Rejected, match="does not look for"):
        measuring.score(tiny, np.zeros((2, 64, 64), np.float32), "tumour")


def test_both_versions_are_timed_on_every_image(tiny: LoadedModel) -> None:
    small = np.zeros((5, 64, 64), np.float32)
    both, alone = measuring.timings(tiny, tiny, small), measuring.timings(tiny, None, small)
    assert (len(both.challenger), len(both.champion)) == (5, 5)
    assert (len(alone.challenger), alone.champion) == (5, ())
    assert min(both.challenger + both.champion) > 0


def test_the_thread_count_is_given_back() -> None:
    before = torch.get_num_threads()
    with measuring.threads(1):
        assert torch.get_num_threads() == 1
    with measuring.threads(0):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_golden_answers_are_the_same_bits_in_two_loads_and_read_back_as_recorded(
    tiny: LoadedModel, tmp_path: Path
) -> None:
    again = load(tmp_path / "tiny")
    first, second = (measuring.golden_answers(one, measuring.golden_images(one, GATE)) for one in (tiny, again))
    assert first.tobytes() == second.tobytes()
    record = {measuring.GOLDEN: measuring.golden_record(tiny, GATE).encode()}
    recorded = measuring.golden_recorded(record, GATE)
    assert recorded is not None
    assert (recorded == first).all()
    assert measuring.golden_recorded({}, GATE) is None
    assert measuring.golden_recorded(record, GoldenGate(images=4, seed=12)) is None
    with pytest.raises(IntegrityError, match="golden"):
        measuring.golden_recorded({measuring.GOLDEN: b"{}"}, GATE)


def test_a_model_of_the_zoo_reads_its_own_phantoms_as_golden_images() -> None:
    images = measuring.golden_images(load(ZOO.bundle), GoldenGate(images=2, seed=3))
    assert tuple(images.shape) == (2, 1, ZOO.input_size, ZOO.input_size)
    assert float(images.max()) == pytest.approx(1.0, abs=0.1)


def edited(folder: Path, path: str, change: Callable[[dict[str, Any]], Any]) -> dict[str, bytes]:
    shutil.copytree(ZOO.bundle, folder)
    config = json.loads((folder / path).read_text())
    change(config)
    (folder / path).write_text(json.dumps(config))
    (folder / MANIFEST).write_bytes(bundles.manifest(folder))
    return dict(bundles.contents(folder))


def member(config: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = config["network_def"]["members"][0]
    return first


@pytest.mark.parametrize(
    ("path", "change", "aspect"),
    [
        (INFERENCE, lambda c: member(c).update(weight=0.5), "weights"),
        (INFERENCE, lambda c: member(c)["arguments"].update(bins=9), "architecture"),
        (INFERENCE, lambda c: c["network_def"].update(flip=False), "architecture"),
        (INFERENCE, lambda c: c["network_def"]["members"].pop(), "architecture"),
        (CARD, lambda c: c["targets"][0].update(threshold=0.9), "threshold"),
        (CARD, lambda c: c["calibration"].update(slope=2.0), "calibration"),
        (CARD, lambda c: c.update(input_size=128), "input"),
        (CARD, lambda c: c["targets"][0].update(escalate_at=0.1), "targets"),
        (CARD, lambda c: c["targets"].append({**c["targets"][0], "name": "other"}), "targets"),
        (CARD, lambda c: c["applicability"].update(modalities=["CT"]), "applicability"),
        (CARD, lambda c: c.update(title="Anything"), "use"),
        (CARD, lambda c: c.update(qualification="PRODUCT"), "use"),
        ("configs/metadata.json", lambda c: c.update(intended_use="Diagnosis."), "use"),
    ],
)
def test_every_aspect_of_a_change_is_seen(
    tmp_path: Path, path: str, change: Callable[[dict[str, Any]], Any], aspect: str
) -> None:
    found = changed(edited(tmp_path / "other", path, change), bundles.contents(ZOO.bundle))
    assert aspect in found
    assert found <= {aspect, "weights", "threshold"}


def test_a_new_version_number_changes_nothing(tmp_path: Path) -> None:
    other = edited(tmp_path / "other", CARD, lambda card: card.update(version="2.0.0"))
    assert changed(other, bundles.contents(ZOO.bundle)) == frozenset()


def test_every_aspect_of_the_plan_has_its_reading() -> None:

    assert set(ASPECTS) == set(get_args(Aspect))
