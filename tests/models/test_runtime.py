import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models import bundles
from models.catalog import catalog
from models.runtime import INFERENCE, WEIGHTS, load
from radloop.domain.errors import IntegrityError

SPEC = catalog()["brain_mr_tumour"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    copy = tmp_path / "bundle"
    shutil.copytree(SPEC.bundle, copy)
    return copy


def edited(bundle: Path, path: str, change: Callable[[dict[str, object]], object]) -> None:
    """Change a configuration and write a manifest that fits, as an attacker with a key would."""
    config = json.loads((bundle / path).read_text())
    change(config)
    (bundle / path).write_text(json.dumps(config))
    (bundle / "manifest.json").write_bytes(bundles.manifest(bundle))


@pytest.mark.parametrize("path", [INFERENCE, "configs/metadata.json"])
@pytest.mark.parametrize("expression", ["$import os", " $__import__('os').system('true')"])
def test_an_expression_anywhere_in_a_configuration_is_refused(bundle: Path, path: str, expression: str) -> None:
    edited(bundle, path, lambda config: config.update({"deep": [{"er": [expression]}]}))
    with pytest.raises(IntegrityError, match="expression"):
        load(bundle)


@pytest.mark.parametrize("name", ["os.system", "monai.networks.nets.DenseNet", "__import__", ""])
def test_a_network_outside_the_table_is_refused(bundle: Path, name: str) -> None:
    edited(bundle, INFERENCE, lambda config: config["network_def"]["members"][0].update(network=name))  # type: ignore[index]
    with pytest.raises(IntegrityError, match="not allowed"):
        load(bundle)


def test_another_kind_of_target_is_refused(bundle: Path) -> None:
    edited(bundle, INFERENCE, lambda config: config["network_def"].update(_target_="subprocess.run"))  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError, match="not allowed"):
        load(bundle)


@pytest.mark.parametrize("arguments", [{"bins": "many"}, {"code": 1}, {"grid": -3}])
def test_arguments_that_the_network_does_not_take_are_refused(bundle: Path, arguments: dict[str, object]) -> None:
    edited(bundle, INFERENCE, lambda config: config["network_def"]["members"][0].update(arguments=arguments))  # type: ignore[index]
    with pytest.raises(IntegrityError):
        load(bundle)


def test_weights_of_another_network_are_refused(bundle: Path) -> None:
    save_file({"other": torch.zeros(3)}, bundle / WEIGHTS)
    (bundle / "manifest.json").write_bytes(bundles.manifest(bundle))
    with pytest.raises(IntegrityError, match="weights"):
        load(bundle)


def test_weights_that_are_no_safetensors_are_refused(bundle: Path) -> None:
    (bundle / WEIGHTS).write_bytes(b"\x80\x04\x95junk")
    (bundle / "manifest.json").write_bytes(bundles.manifest(bundle))
    with pytest.raises(IntegrityError, match="weights"):
        load(bundle)


def test_a_changed_file_is_refused_before_anything_is_built(bundle: Path) -> None:
    card = bundle / "configs" / "card.json"
    card.write_text(card.read_text().replace("0.85", "0.99"))
    with pytest.raises(IntegrityError, match="manifest"):
        load(bundle)


def test_a_bundle_without_weights_is_refused(bundle: Path) -> None:
    (bundle / WEIGHTS).unlink()
    (bundle / "manifest.json").write_bytes(bundles.manifest(bundle))
    with pytest.raises(IntegrityError, match="no weights"):
        load(bundle)
