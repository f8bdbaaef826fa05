"""All methods on the same streams: in chunks of runs, on as many processes as there are cores."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from data_checks.columns import Columns
from data_checks.ground import Ground
from models.phantoms.pool import pool, pools
from models.phantoms.scanners import CHANGES, SCANNERS
from serving.cli.simulate_rows import Pools
from tests.drift import ours
from tests.drift.streams import Codes, Plan, Run, codes, export, looks, reference, streams
from tests.drift.variants import RADLOOP

CHUNK = 20
"""Runs that a process is given at a time: few enough that no core is left idle for long at the end."""
CORES = os.cpu_count() or 1
THEIRS = Path(__file__).with_name("theirs.py")
ALONE = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
Scores = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What every chunk needs.

    Args:
        plan: how much is run.
        folder: where pools are kept.
        scratch: a folder that goes when all is done.
        python: the other environment's interpreter.
        variants: which of its variants run.
    """

    plan: Plan
    folder: Path
    scratch: Path
    python: Path
    variants: tuple[str, ...]


def run(workers: ProcessPoolExecutor, track: Track, runs: Sequence[Run], limits: Mapping[str, float]) -> Scores:
    """(runs, looks) scores of every method; one stops at its limit where it has one."""
    count = -(-len(runs) // CHUNK)
    parts = list(workers.map(_chunk, [track] * count, [runs[start::count] for start in range(count)], [limits] * count))
    found = {method: np.empty((len(runs), len(looks(track.plan)))) for method in parts[0]}
    for start, part in enumerate(parts):
        for method, scores in part.items():
            found[method][start::count] = scores
    return found


def make_pools(workers: ProcessPoolExecutor, track: Track) -> None:
    """Have every pool computed, a scanner at a time on each core."""
    keys = [(scanner.station, "") for scanner in SCANNERS]
    keys += [(change.station, change.name) for change in CHANGES.values()]
    list(workers.map(_pool, keys, [track] * len(keys)))


def _pool(key: tuple[str, str], track: Track) -> None:
    torch.set_num_threads(1)
    pool(key, track.plan.pool, track.folder)


def _chunk(track: Track, runs: Sequence[Run], limits: dict[str, float]) -> Scores:
    rows, at = list(streams(_pools(track), track.plan, runs)), looks(track.plan)
    asked = {
        **export(rows, _codes(track)),
        "which": np.array([number % track.plan.references for _, number in runs]),
        "looks": np.array(at),
        "variants": np.array(track.variants),
        "limit_names": np.array(list(limits), dtype=np.str_),
        "limits": np.array(list(limits.values()), dtype=float),
    }
    scores = _others(track).scores(asked)
    # Every core has a process already.
    with threadpool_limits(limits=1):
        mine = ours.scores(_grounds(track), rows, runs, at, limits.get(RADLOOP, np.inf))
    return {RADLOOP: mine, **dict(zip(track.variants, scores, strict=True))}


class Others:
    """The other environment's process, one for each of ours: it takes ten seconds to start."""

    def __init__(self, python: Path, folder: Path, references: Mapping[str, np.ndarray]) -> None:
        self.folder = folder
        folder.mkdir()
        self.said = self.folder / "stderr"
        with (self.folder / "references.npz").open("wb") as out:
            np.savez(out, **references)  # type: ignore[arg-type]
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [str(python), str(THEIRS), str(self.folder / "references.npz")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=ALONE, text=True,
            )  # fmt: skip

    def scores(self, asked: Mapping[str, np.ndarray]) -> np.ndarray:
        """(variants, runs, looks). It ends when this process does, and its standard input with it."""
        source, target = self.folder / "streams.npz", self.folder / "scores.npz"
        with source.open("wb") as out:
            np.savez(out, **asked)  # type: ignore[arg-type]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(source, target, sep="\t", file=self.process.stdin, flush=True)
        if not self.process.stdout.readline():
            raise RuntimeError(f"{THEIRS.name} failed:\n{self.said.read_text()[-2000:]}")
        with np.load(target, allow_pickle=False) as kept:
            return np.asarray(kept["scores"])


@cache
def _others(track: Track) -> Others:
    return Others(track.python, track.scratch / str(os.getpid()), export(_references(track), _codes(track)))


@cache
def _pools(track: Track) -> Pools:
    return pools(track.plan.pool, track.folder)


@cache
def _references(track: Track) -> list[Columns]:
    return [reference(_pools(track), track.plan, number) for number in range(track.plan.references)]


@cache
def _codes(track: Track) -> Codes:
    return codes(_references(track))


@cache
def _grounds(track: Track) -> list[Ground]:
    return ours.grounds(_references(track))
