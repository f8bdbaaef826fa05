"""In which aspects one version differs from another, by what their bundles say."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

from models.runtime import INFERENCE, WEIGHTS
from models.spec import CARD

METADATA: Final = "configs/metadata.json"
CHOSEN: Final = ("threshold",)
"""What of a target is the operating point; the rest says what it means."""
Json = Mapping[str, object]
Files = Mapping[str, bytes]


def changed(first: Files, second: Files) -> frozenset[str]:
    """The aspects (`models.change_plan.Aspect`) in which two checked bundles (path to bytes) differ."""
    return frozenset(aspect for aspect, seen in ASPECTS.items() if seen(first) != seen(second))


def _card(files: Files) -> Json:
    return cast("Json", json.loads(files[CARD]))


def _targets(files: Files) -> list[Json]:
    return [dict(item) for item in cast("Sequence[Json]", _card(files)["targets"])]


def _meanings(files: Files) -> object:
    return [{key: value for key, value in target.items() if key not in CHOSEN} for target in _targets(files)]


def _thresholds(files: Files) -> object:
    return [[target[key] for key in CHOSEN] for target in _targets(files)]


def _committee(files: Files) -> tuple[Json, list[Json]]:
    definition = dict(json.loads(files[INFERENCE])["network_def"])
    return definition, [dict(member) for member in definition.pop("members")]


def _architecture(files: Files) -> object:
    """The networks and how they are put together; a member's weight in the committee is learned."""
    definition, members = _committee(files)
    return definition, [{key: value for key, value in member.items() if key != "weight"} for member in members]


def _weights(files: Files) -> object:
    return hashlib.sha256(files[WEIGHTS]).hexdigest(), [member["weight"] for member in _committee(files)[1]]


def _use(files: Files) -> object:
    card = _card(files)
    said = json.loads(files[METADATA]).get("intended_use") if METADATA in files else None
    return card["title"], card["qualification"], said


ASPECTS: Final[Mapping[str, Callable[[Files], object]]] = MappingProxyType(
    {
        "weights": _weights,
        "threshold": _thresholds,
        "calibration": lambda files: _card(files)["calibration"],
        "architecture": _architecture,
        "input": lambda files: (_card(files)["input_size"], _card(files).get("window")),
        "targets": _meanings,
        "applicability": lambda files: _card(files)["applicability"],
        "use": _use,
    }
)
