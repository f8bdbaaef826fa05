"""Writes a trained committee as a MONAI bundle without code."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from models.bundles import manifest
from models.runtime import INFERENCE, WEIGHTS
from models.spec import CARD, MANIFEST
from models.training.crossval import Operating
from models.training.fit import members
from models.training.recipes import Recipe
from radloop.domain.enums import Qualification
from radloop.domain.records import Code

METADATA = "configs/metadata.json"
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-assets/releases/download/0.8.1/meta_schema_20240725.json"


def write_bundle(
    folder: Path,
    recipe: Recipe,
    final: Operating,
    weights: bytes,
    texts: Mapping[str, str],
    change: str = "first version",
) -> None:
    """Write configurations, weights, `texts` (path to content: card and metrics) and the manifest over all of them.

    `change` says in the change log how this version came about.
    """
    files = {
        CARD: _json(_card(recipe, final)),
        METADATA: _json(_metadata(recipe, change)),
        INFERENCE: _json(_inference(recipe, final)),
        WEIGHTS: weights,
        **{path: text.encode() for path, text in texts.items()},
    }
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / MANIFEST).write_bytes(manifest(folder))


def _inference(recipe: Recipe, final: Operating) -> Mapping[str, object]:
    """MONAI's `network_def`, with a name that our runtime looks up in its own table."""
    committee = [
        {"network": one.network, "arguments": one.arguments, "weight": one.weight}
        for one in members(recipe, final.weights)
    ]
    return {"network_def": {"_target_": "Committee", "members": committee, "flip": True}}


def _card(recipe: Recipe, final: Operating) -> Mapping[str, object]:
    rules, target = recipe.applicability, recipe.target
    return {
        "name": recipe.name,
        "version": recipe.version,
        "title": recipe.title,
        "qualification": Qualification.RESEARCH.value,
        "input_size": recipe.input_size,
        **({} if recipe.window is None else {"window": recipe.window}),
        "targets": [
            {
                "name": target.name,
                "code": _code(target.code),
                "threshold": final.threshold,
                "escalate_at": target.escalate_at,
                "escalates_to": target.escalates_to.value,
                "location": None if target.location is None else _code(target.location),
                "paired": target.paired,
            }
        ],
        "applicability": {
            "modalities": rules.modalities,
            "body_parts": rules.body_parts,
            "views": rules.views,
            "photometric": rules.photometric,
            "min_rows": rules.min_rows,
            "min_columns": rules.min_columns,
            "plane": rules.plane,
        },
        "calibration": {
            "method": final.calibration.method,
            "slope": final.calibration.slope,
            "intercept": final.calibration.intercept,
        },
    }


def _metadata(recipe: Recipe, change: str) -> Mapping[str, object]:
    """MONAI bundle metadata (MONAI Bundle Specification, metadata.json)."""
    side = recipe.input_size
    image = {
        "type": "image",
        "format": "magnitude",
        "num_channels": 1,
        "spatial_shape": [side, side],
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    probability = {
        "type": "probabilities",
        "format": "classes",
        "num_channels": 1,
        "spatial_shape": [],
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": {"0": recipe.target.name},
    }
    return {
        "schema": SCHEMA,
        "version": recipe.version,
        "changelog": {recipe.version: change},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").split("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {"safetensors": version("safetensors")},
        "task": recipe.title,
        "description": f"{recipe.title}: a committee of small networks. Research only, not for diagnosis.",
        "authors": "radloop",
        "copyright": "see the repository",
        "intended_use": "Research. Never a diagnosis.",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": probability}},
    }


def _code(code: Code) -> Mapping[str, str]:
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
