import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models import bundles
from models.catalog import catalog
from models.phantoms import brain_slices, chest, head_ct
from models.preparation import Floats, header_facts, to_unit
from models.runtime import LoadedModel, load
from models.spec import ModelSpec
from radloop.domain.enums import Qualification

every_model = pytest.mark.parametrize("spec", catalog().values(), ids=lambda spec: spec.name)
MEASURES = {
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier score",
    "ece": "expected calibration error",
}


@pytest.fixture(scope="module", params=catalog().values(), ids=lambda spec: spec.name)
def model(request: pytest.FixtureRequest) -> LoadedModel:
    torch.set_num_threads(1)
    return load(request.param.bundle)


def picture(model: LoadedModel, seed: int, found: bool) -> Floats:
    drawn = {
        "CR": lambda: [chest(seed, found, 512)],
        "MR": lambda: brain_slices(seed, found),
        "CT": lambda: head_ct(seed, found),
    }
    (made, *_) = drawn[model.spec.modalities[0]]()
    return to_unit(made.pixel_array, header_facts(made), model.spec.window)


def test_asking_the_catalog_loads_neither_torch_nor_mlflow() -> None:
    heavy = {"torch", "mlflow", "monai"}
    code = f"import sys; from models.catalog import catalog; catalog(); print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "[]"


@every_model
def test_a_bundle_holds_numbers_and_words_only_and_is_small(spec: ModelSpec) -> None:
    files = bundles.contents(spec.bundle)
    assert {Path(path).suffix for path in files} == {".safetensors", ".json", ".md"}
    assert len(files["models/model.safetensors"]) < 16 * 1024 * 1024
    assert not any(re.search(rb'"\s*\$', data) for path, data in files.items() if path.endswith(".json"))


@every_model
def test_the_digest_is_the_manifests_and_the_manifest_is_what_lies_there(spec: ModelSpec) -> None:
    assert bundles.manifest(spec.bundle) == (spec.bundle / "manifest.json").read_bytes()
    assert bundles.digest(spec.bundle) == spec.digest
    assert spec.qualification is Qualification.RESEARCH


@every_model
def test_the_metadata_has_what_a_monai_bundle_must_have(spec: ModelSpec) -> None:
    metadata = json.loads((spec.bundle / "configs" / "metadata.json").read_text())
    required = {"schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"}
    required |= {"task", "description", "authors", "copyright", "network_data_format"}
    assert required <= metadata.keys()
    assert metadata["version"] == spec.version
    assert metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == [spec.input_size] * 2


@every_model
def test_the_card_says_what_was_measured_with_its_doubt_and_what_the_model_is_not_for(spec: ModelSpec) -> None:
    card = (spec.bundle / "docs" / "card.md").read_text()
    measured = json.loads((spec.bundle / "docs" / "metrics.json").read_text())["out_of_fold"]
    for heading in ("## Intended use", "## Data", "## Metrics", "## Limits", "## Applicability"):
        assert heading in card
    assert "**RESEARCH.**" in card
    stated = re.findall(r"\| ([\w ]+) \| (0\.\d{3}) \(95 % CI (0\.\d{3}) to (0\.\d{3})\)", card)
    assert [row[0] for row in stated] == list(MEASURES.values())
    for (_, *numbers), name in zip(stated, MEASURES, strict=True):
        expected = [measured[name][key] for key in ("value", "low", "high")]
        assert [float(number) for number in numbers] == pytest.approx(expected, abs=6e-4)
    assert f"{spec.targets[0].threshold:.4f}" in card


def test_a_model_that_saw_phantoms_alone_says_so_at_once() -> None:
    card = (catalog()["head_ct_haemorrhage"].bundle / "docs" / "card.md").read_text()
    assert "Trained and measured on phantoms alone" in card.split("## Intended use")[0]
    assert "phantoms" in catalog()["head_ct_haemorrhage"].title


@every_model
def test_the_model_was_measured_to_be_better_than_a_plain_network(spec: ModelSpec) -> None:
    measured = json.loads((spec.bundle / "docs" / "metrics.json").read_text())["out_of_fold"]["auc"]
    plain = {"cxr_pneumonia": 0.855, "brain_mr_tumour": 0.870, "head_ct_haemorrhage": 0.870}
    assert measured["value"] > plain.get(spec.name, 0.5)
    assert measured["low"] < measured["value"] < measured["high"]


def test_one_image_gives_the_same_bits_again_and_again(model: LoadedModel) -> None:
    batch = model.prepare(picture(model, 3, found=True))[None]
    first, heat = model.predict_and_explain(batch)
    for _ in range(3):
        again, heat_again = model.predict_and_explain(batch)
        assert again.tobytes() == first.tobytes()
        assert heat_again.tobytes() == heat.tobytes()
        assert model.predict(batch).tobytes() == first.tobytes()


def test_a_batch_answers_as_single_images_do(model: LoadedModel) -> None:
    batch = torch.stack([model.prepare(picture(model, seed, found=seed % 2 == 0)) for seed in range(4)])
    together, maps = model.predict_and_explain(batch)
    alone = np.concatenate([model.predict(one[None]) for one in batch])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.shape == (4, len(model.spec.targets))
    assert together.dtype == np.float32
    assert maps.shape[:2] == (4, len(model.spec.targets))


def test_a_map_of_heat_lies_within_0_and_1_and_is_not_flat(model: LoadedModel) -> None:
    heat = model.explain(model.prepare(picture(model, 5, found=True))[None])
    assert heat.dtype == np.float32
    assert 0 <= heat.min() < heat.max() <= 1


def test_phantoms_with_the_finding_score_higher_than_those_without(model: LoadedModel) -> None:
    def score(found: bool) -> float:
        batch = torch.stack([model.prepare(picture(model, seed, found)) for seed in range(6)])
        return float(model.predict(batch).mean())

    assert score(found=True) > score(found=False) + 0.1


def test_the_mirror_image_scores_the_same(model: LoadedModel) -> None:
    unit = picture(model, 8, found=True)
    there, back = model.prepare(unit)[None], model.prepare(np.ascontiguousarray(unit[:, ::-1]))[None]
    np.testing.assert_allclose(model.predict(there), model.predict(back), atol=1e-4)
