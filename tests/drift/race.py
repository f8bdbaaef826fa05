"""All methods on the same streams: in chunks of runs, on as many processes as there are cores."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from models.phantoms.pool import pool, pools
from models.phantoms.scanners import CHANGES, SCANNERS
from tests.drift import ours
from tests.drift.streams import Plan, Run, coder, export, looks, reference, streams

CHUNK = 50
"""Runs that one process is given: the other environment takes seconds to start."""
CORES = os.cpu_count() or 1
THEIRS = Path(__file__).with_name("theirs.py")
Scores = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What every chunk needs: the plan, the folder of the pools, the interpreter of the other environment."""

    plan: Plan
    folder: Path
    python: Path


def run(track: Track, runs: Sequence[Run], limits: Mapping[str, float] | None = None) -> Scores:
    """(runs, looks) scores of every method; one stops at its limit where it has one."""
    count = max(CORES, len(runs) // CHUNK)
    chunks = [runs[start::count] for start in range(count)]
    with ProcessPoolExecutor(CORES) as workers:
        parts = list(workers.map(_chunk, [track] * count, chunks, [dict(limits or {})] * count))
    found = {method: np.empty((len(runs), scores.shape[1])) for method, scores in parts[0].items()}
    for start, part in enumerate(parts):
        for method, scores in part.items():
            found[method][start::count] = scores
    return found


def make_pools(track: Track) -> None:
    """Have every pool computed, half of the scanners on each core."""
    keys = [(scanner.station, "") for scanner in SCANNERS]
    keys += [(change.station, change.name) for change in CHANGES.values()]
    with ProcessPoolExecutor(CORES) as workers:
        list(workers.map(_pool, keys, [track] * len(keys)))


def _pool(key: tuple[str, str], track: Track) -> None:
    torch.set_num_threads(1)
    pool(key, track.plan.pool, track.folder)


def _chunk(track: Track, runs: Sequence[Run], limits: dict[str, float]) -> Scores:
    found = pools(track.plan.pool, track.folder)
    with tempfile.TemporaryDirectory(prefix="radloop-drift-") as folder:
        scores = _theirs(track, runs, limits, Path(folder))
    # Every core has a process already.
    with threadpool_limits(limits=1):
        scores[ours.NAME] = ours.scores(found, track.plan, runs, limits.get(ours.NAME))
    return scores


def _theirs(track: Track, runs: Sequence[Run], limits: dict[str, float], folder: Path) -> Scores:
    source, target = folder / "arrays.npz", folder / "scores.npz"
    _export(track, runs, source, limits)
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [str(track.python), str(THEIRS), str(source), str(target)]
    done = subprocess.run(command, env=alone, capture_output=True, text=True, timeout=3600, check=False)
    if done.returncode:
        raise RuntimeError(f"{THEIRS.name} failed:\n{done.stderr[-2000:]}")
    with np.load(target, allow_pickle=False) as kept:
        return {str(name): scores for name, scores in zip(kept["variants"], kept["scores"], strict=True)}


def _export(track: Track, runs: Sequence[Run], source: Path, limits: dict[str, float]) -> None:
    found, codes = pools(track.plan.pool, track.folder), coder()
    plan = track.plan
    needed = sorted({number % plan.references for _, number in runs})
    parts: dict[str, np.ndarray] = {}
    for name, rows in (("reference", [reference(found, plan, one) for one in needed]),
                       ("stream", list(streams(found, plan, runs)))):  # fmt: skip
        export(source, rows, codes)
        with np.load(source, allow_pickle=False) as kept:
            parts |= {f"reference_{key}" if name == "reference" else key: kept[key] for key in kept.files}
    parts["which"] = np.array([needed.index(number % plan.references) for _, number in runs])
    parts["looks"] = np.array(list(looks(plan)))
    parts["limit_names"] = np.array(list(limits))
    parts["limits"] = np.array(list(limits.values()))
    with source.open("wb") as out:
        np.savez(out, **parts)
