"""A tiny bundle with random weights: everything a real one has, but the training."""

import json
from pathlib import Path

import torch
from safetensors.torch import save

from models.bundles import manifest
from models.runtime import INFERENCE, WEIGHTS, build_network
from models.spec import CARD, MANIFEST

NAME = "cxr_tiny"
TARGET = "opacity"
CARD_OF_TINY = {
    "name": NAME,
    "version": "1.0.0",
    "title": "Opacity on frontal chest radiographs, untrained",
    "qualification": "RESEARCH",
    "input_size": 64,
    "targets": [
        {
            "name": TARGET,
            "code": {"value": "233604007", "scheme": "SCT", "meaning": "Pneumonia"},
            "threshold": 0.5,
            "escalate_at": 0.85,
            "escalates_to": "URGENT",
            "location": {"value": "39607008", "scheme": "SCT", "meaning": "Lung"},
            "paired": True,
        }
    ],
    "applicability": {
        "modalities": ["CR", "DX", "MR"],
        "body_parts": [],
        "views": [],
        "photometric": ["MONOCHROME1", "MONOCHROME2"],
        "min_rows": 32,
        "min_columns": 32,
        "plane": "AXIAL",
    },
    "calibration": {"method": "none", "slope": 1.0, "intercept": 0.0},
}
NETWORK = {
    "network_def": {
        "_target_": "Committee",
        "flip": True,
        "members": [
            {"network": "OrientedGradients", "arguments": {"bins": 4, "grid": 4, "halvings": 0}, "weight": 3.0},
            {"network": "OrientedGradients", "arguments": {"bins": 8, "grid": 4, "halvings": 1}, "weight": 2.0},
        ],
    }
}


def write_tiny(folder: Path, version: str = "1.0.0", seed: int = 7) -> Path:
    """Another version or seed is another digest."""
    torch.manual_seed(seed)
    files = {
        CARD: json.dumps({**CARD_OF_TINY, "version": version}).encode(),
        INFERENCE: json.dumps(NETWORK).encode(),
        WEIGHTS: save({name: value.half() for name, value in build_network(NETWORK).state_dict().items()}),
    }
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / MANIFEST).write_bytes(manifest(folder))
    return folder
