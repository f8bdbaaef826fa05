"""From labelled files to a bundle, in five steps: read, train per fold and on all, choose, measure, write."""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch
from monai.utils import set_determinism

from models.training.cohort import phantoms, read
from models.training.crossval import Job, Operating, jobs, operating, out_of_fold
from models.training.recipes import Recipe
from models.training.report import Report, as_card, as_json, report
from models.training.write import write_bundle

Progress = Callable[[str], None]


def train(recipe: Recipe, data: Path, out: Path, progress: Progress, workers: int = 1) -> Report:
    """Train one model and write `out/bundle/` and `out/metrics.json`.

    Bit-identical for the same recipe, data, build, thread count and device; `workers` processes share the
    training runs and change nothing.

    Raises:
        Unparsable: the data folder cannot be read.
    """
    set_determinism(recipe.seed)
    cohort, extra = read(data, recipe), phantoms(recipe)
    progress(f"{len(cohort.labels)} images in {len(np.unique(cohort.groups))} groups")
    *folds, everything = _trained(jobs(recipe, cohort, extra), workers, progress)
    oof = out_of_fold(recipe, cohort, folds)
    final = operating(recipe, oof.votes, cohort.labels)
    found = report(recipe, cohort, oof, final)
    progress(f"out-of-fold AUC {found.measures['auc']}")
    _publish(recipe, out, final, found, everything)
    return found


def _trained(work: Sequence[Job], workers: int, progress: Progress) -> list[bytes]:
    """The weights of every job, in the order of the jobs."""
    done: dict[int, bytes] = {}
    for index, weights in _beside(work, workers) if workers > 1 else enumerate(map(_run, work)):
        done[index] = weights
        progress(f"{len(done)} of {len(work)} training runs are done")
    return [done[index] for index in range(len(work))]


def _beside(work: Sequence[Job], workers: int) -> Iterator[tuple[int, bytes]]:
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_run_on, torch.get_num_threads(), job): index for index, job in enumerate(work)}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def _run_on(threads: int, job: Job) -> bytes:
    torch.set_num_threads(threads)
    return _run(job)


def _run(job: Job) -> bytes:
    torch.set_flush_denormal(True)
    set_determinism(job.recipe.seed)
    return job.weights()


def _publish(recipe: Recipe, out: Path, final: Operating, found: Report, weights: bytes) -> None:
    metrics = json.dumps(as_json(recipe, found, final), indent=1) + "\n"
    texts = {"docs/card.md": as_card(recipe, found, final), "docs/metrics.json": metrics}
    write_bundle(out / "bundle", recipe, final, weights, texts)
    (out / "metrics.json").write_text(metrics, encoding="utf-8")
