"""A bundle, loaded: prepares images, predicts, and shows where it looked. CPU, float32, no code from the bundle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from models.bundles import contents
from models.embedding import embeddings, penultimate
from models.explanation.gradcam import scores_and_maps
from models.networks import Committee, Member
from models.preparation import Floats, resample
from models.spec import ModelSpec, parse_spec
from radloop.domain.errors import IntegrityError

INFERENCE = "configs/inference.json"
WEIGHTS = "models/model.safetensors"


@dataclass(frozen=True, slots=True)
class Read:
    """A batch, read: calibrated `probabilities` (N, targets), Grad-CAM `maps` (N, targets, h, w), `embeddings` (N, 64).

    All float32; probabilities and maps 0..1.
    """

    probabilities: Floats
    maps: Floats
    embeddings: Floats


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to read. Safe to share between threads that only predict."""

    spec: ModelSpec
    network: Committee

    def prepare(self, unit: Floats) -> Tensor:
        """One image (H, W) float32 0..1 (`models.preparation.to_unit`) as the network's input (1, S, S)."""
        side = self.spec.input_size
        return torch.from_numpy(resample(unit, side, side))[None]

    def predict(self, batch: Tensor) -> Floats:
        """Calibrated probabilities (N, targets), float32, of a batch (N, 1, S, S)."""
        with torch.inference_mode():
            return self._calibrated(self.network(batch))

    def explain(self, batch: Tensor) -> Floats:
        """Grad-CAM maps (N, targets, h, w), float32, 0..1, rows down, over the whole image."""
        return self.predict_and_explain(batch)[1]

    def predict_and_explain(self, batch: Tensor) -> tuple[Floats, Floats]:
        """Both of the above in one forward pass; the probabilities equal those of `predict`."""
        read = self.read(batch)
        return read.probabilities, read.maps

    def read(self, batch: Tensor) -> Read:
        """All that one forward pass over a batch (N, 1, S, S) tells, embeddings too: see `models.embedding`."""
        votes = torch.cat([batch, batch.flip(3)]) if self.network.flip else batch
        with penultimate(self.network) as features:
            logits, maps = scores_and_maps(self.network.votes, self.network.layers(), votes)
        found = embeddings(self.network, features, len(batch))
        if self.network.flip:
            size = len(batch)
            logits = (logits[:size] + logits[size:]) / 2
            maps = (maps[:size] + maps[size:].flip(3)) / 2
        return Read(self._calibrated(logits), maps.numpy().astype(np.float32), found)

    def embed(self, batch: Tensor) -> Floats:
        """The embeddings (N, 64), float32, of a batch alone; equal to those of `read` but for the last digits."""
        with torch.inference_mode(), penultimate(self.network) as features:
            self.network.votes(batch)
        return embeddings(self.network, features, len(batch))

    def _calibrated(self, logits: Tensor) -> Floats:
        card = self.spec.calibration
        return torch.sigmoid(logits * card.slope + card.intercept).numpy().astype(np.float32)


def load(bundle_dir: Path) -> LoadedModel:
    """Verify a bundle against its manifest and build its network from the table of `models.networks`.

    Raises:
        IntegrityError: the bundle was changed, holds anything but safetensors, JSON and Markdown, has a `$`
            expression (MONAI bundles may execute those), names a network that is not allowed, or its weights
            do not fit.
    """
    files = contents(bundle_dir)
    _refuse_expressions(files)
    network = build_network(json.loads(files[INFERENCE])) if INFERENCE in files else None
    if network is None or WEIGHTS not in files:
        raise IntegrityError("the bundle has no network or no weights")
    fill(network, files[WEIGHTS])
    return LoadedModel(parse_spec(files, bundle_dir), network)


def build_network(config: Mapping[str, object]) -> Committee:
    """The committee that `configs/inference.json` names, with random weights.

    Raises:
        IntegrityError: it is not the one shape that we build.
    """
    try:
        definition = cast("Mapping[str, object]", config["network_def"])
        if definition["_target_"] != "Committee":
            raise IntegrityError("the bundle names a network that is not allowed")
        members = cast("list[Mapping[str, object]]", definition["members"])
        return Committee([_member(item) for item in members], flip=definition["flip"] is True)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError("the bundle's network definition cannot be read") from error


def fill(network: Committee, weights: bytes) -> None:
    """Put safetensors weights (fp16 on disk) into the network as float32, frozen and in evaluation mode.

    Raises:
        IntegrityError: the bytes are no safetensors, or do not fit the network exactly.
    """
    try:
        state = {name: _widened(tensor) for name, tensor in load_tensors(weights).items()}
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise IntegrityError("the bundle's weights do not fit its network") from error
    network.eval().requires_grad_(requires_grad=False)


def _member(item: Mapping[str, object]) -> Member:
    arguments = cast("Mapping[str, object]", item["arguments"])
    return Member(str(item["network"]), arguments, float(cast("float", item["weight"])))


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _refuse_expressions(files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        if path.endswith(".json") and _has_expression(_parsed(data)):
            raise IntegrityError("the bundle's configuration holds an expression that would run as code")


def _parsed(data: bytes) -> object:
    try:
        return cast("object", json.loads(data))
    except ValueError as error:
        raise IntegrityError("the bundle's configuration is not JSON") from error


def _has_expression(node: object) -> bool:
    if isinstance(node, str):
        return node.lstrip().startswith("$")
    if isinstance(node, Mapping):
        return any(_has_expression(item) for pair in node.items() for item in pair)
    return isinstance(node, list) and any(_has_expression(item) for item in node)
