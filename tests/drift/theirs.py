"""What evidently and alibi-detect say at each look. Runs in an environment of its own, and imports nothing of ours.

`python theirs.py REFERENCES`: each line of the standard input then names two files, STREAMS and SCORES, with a tab
between, and is answered by a line when SCORES is there. All are arrays of numpy's: the references; the streams, their
looks, the names of the variants wanted and the limits of some; (variants, runs, looks) scores, higher meaning surer.
With a limit a variant stops at the first look that reaches it. Every variant sees the latest studies of each device
apart, and says what its worst device says, or the latest studies of all together: the statistics are the packages'
own, called as they document it.
"""

import functools
import gc
import os
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")

import alibi_detect.cd.tabular  # noqa: E402
import evidently.legacy.calculations.stattests.ks_stattest as evidently_ks  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from alibi_detect.cd import MMDDrift, TabularDrift  # noqa: E402
from evidently.legacy.calculations.stattests import (  # noqa: E402
    chi_stat_test,
    jensenshannon_stat_test,
    ks_stat_test,
    wasserstein_stat_test,
)
from evidently.legacy.core import ColumnType  # noqa: E402
from evidently.legacy.metrics.data_drift.embedding_drift_methods import distance  # noqa: E402
from scipy import stats  # noqa: E402

EACH, ALL, SHORT = 50, 200, 20
"""Studies of a window: of each device, of all together, of each device where a short one is wanted."""
LEAST = 10
"""Studies of a device below which its window is not looked at."""
SMALLEST = 1e-300
MOST = 400
"""Rows of a reference that a method with a kernel is given."""


class Reference:
    """One stratum's reference: columns for evidently, detectors of alibi-detect."""

    def __init__(self, numeric, categorical, embedding):
        self.numeric, self.categorical = columns(numeric), columns(categorical)
        self.embedding = pd.DataFrame(embedding)
        width, kinds = numeric.shape[1], categorical.shape[1]
        rows = np.concatenate([numeric, categorical], axis=1)
        known = {width + side: None for side in range(kinds)}
        self.tabular = TabularDrift(rows, p_val=0.05, categories_per_feature=known)
        kept = embedding[:: max(1, len(embedding) // MOST)].astype(np.float32)
        self.mmd = MMDDrift(kept, backend="pytorch", n_permutations=1)


class Window:
    """The latest rows of a stratum, and what several variants ask of them, computed once."""

    def __init__(self, known, numeric, categorical, embedding):
        self.known, self.embedding = known, embedding
        self.rows = np.concatenate([numeric, categorical], axis=1)
        self.numeric, self.categorical = columns(numeric), columns(categorical)

    @functools.cached_property
    def ks(self):
        """(numeric columns,) p: evidently's choice for small data."""
        return self._of_numeric(ks_stat_test)

    @functools.cached_property
    def chi2(self):
        """(categorical columns,) p: evidently's choice for small data."""
        return np.nan_to_num(self._of_categorical(chi_stat_test), nan=1.0)

    @property
    def distances(self):
        """(columns,) normed Wasserstein and Jensen-Shannon distances: evidently's choice for large data."""
        found = [self._of_numeric(wasserstein_stat_test), self._of_categorical(jensenshannon_stat_test)]
        return np.nan_to_num(np.concatenate(found))

    def _of_numeric(self, test):
        return self._scores(test, self.known.numeric, self.numeric, ColumnType.Numerical)

    def _of_categorical(self, test):
        return self._scores(test, self.known.categorical, self.categorical, ColumnType.Categorical)

    def _scores(self, test, known, seen, kind):
        pairs = zip(known, seen, strict=True)
        found = [test(reference_data=a, current_data=b, feature_type=kind, threshold=None) for a, b in pairs]
        return np.array([one.drift_score for one in found], float)


def columns(rows):
    return [pd.Series(column) for column in rows.T]


def surest(p):
    return -np.log10(max(p.min(), SMALLEST))


def evidently_chi2(window):
    return surest(np.concatenate([window.ks, window.chi2]))


def evidently_share(window):
    """Evidently's own rule for a data set, the share of columns at p < 0.05; ties are broken by how far."""
    p = np.concatenate([window.ks, window.chi2])
    return np.mean(p < 0.05) + 1e-3 * np.mean(-np.log10(np.maximum(p, SMALLEST)))


def evidently_embedding(window):
    return distance()(pd.DataFrame(window.embedding), window.known.embedding)[0]


def alibi_tabular(window):
    p = window.known.tabular.predict(window.rows)["data"]["p_val"]
    return surest(np.nan_to_num(p.astype(float), nan=1.0))


def alibi_mmd(window, length=EACH):
    rows = window.embedding[-length:].astype(np.float32)
    return float(window.known.mmd.predict(rows)["data"]["distance"])


PER_DEVICE = {
    "evidently ks+chi2": evidently_chi2,
    # Without the categories: chi-square takes a single odd one for proof.
    "evidently ks": lambda window: surest(window.ks),
    "evidently share": evidently_share,
    "evidently wasserstein+js": lambda window: window.distances.max(),
    "evidently embedding": evidently_embedding,
    "alibi tabular": alibi_tabular,
    "alibi mmd": alibi_mmd,
    # As alibi-detect's online detector slides a window; that one itself takes seconds to set up.
    "alibi mmd short": lambda window: alibi_mmd(window, SHORT),
}
OF_ALL = {
    "evidently all ks+chi2": evidently_chi2,
    "evidently all share": evidently_share,
    "alibi all tabular": alibi_tabular,
}


class References:
    """The references by number: each made ready when it is first asked for."""

    def __init__(self, arrays):
        self.arrays = arrays

    @functools.cache  # noqa: B019 - there is one of it
    def each(self, number):
        device = self.arrays["device"][number]
        return {int(one): self._of(number, device == one) for one in np.unique(device)}

    @functools.cache  # noqa: B019 - there is one of it
    def whole(self, number):
        return self._of(number, slice(None))

    def _of(self, number, rows):
        return Reference(*(self.arrays[name][number][rows] for name in ("numeric", "categorical", "embedding")))


class Looker:
    """One run: its stream and its reference."""

    def __init__(self, references, number, arrays, run):
        self.references, self.number = references, number
        self.rows = [arrays[name][run] for name in ("numeric", "categorical", "embedding")]
        self.device = arrays["device"][run]

    def look(self, seen, wanted):
        """Scores by variant, of those wanted."""
        apart = list(self._windows(seen)) if wanted & PER_DEVICE.keys() else []
        out = {name: max((PER_DEVICE[name](one) for one in apart), default=0.0) for name in wanted & PER_DEVICE.keys()}
        if wanted & OF_ALL.keys():
            latest = self._window(self.references.whole(self.number), slice(max(0, seen - ALL), seen))
            out |= {name: OF_ALL[name](latest) for name in wanted & OF_ALL.keys()}
        return out

    def _windows(self, seen):
        for device, known in self.references.each(self.number).items():
            rows = np.flatnonzero(self.device[:seen] == device)[-EACH:]
            if len(rows) >= LEAST:
                yield self._window(known, rows)

    def _window(self, known, rows):
        return Window(known, *(part[rows] for part in self.rows))


def hasten(looker, seen):
    """Have the two packages compute the same in less time, and see that it is the same.

    Most of the time of a KS test of 50 values goes into scipy's look for masks, axes and NaN, of which there are none
    here, and into p for arguments that it was asked about before.
    """
    plain = looker.look(seen, PER_DEVICE.keys())
    bare = stats.ks_2samp.__wrapped__
    evidently_ks.ks_2samp = alibi_detect.cd.tabular.ks_2samp = bare
    stats.kstwo.sf = functools.cache(stats.kstwo.sf)
    if looker.look(seen, PER_DEVICE.keys()) != plain:
        raise RuntimeError("scipy's KS test says something else without its checks of arguments")


def scored(references, arrays, hastened):
    """(variants, runs, looks) scores of one file of streams."""
    names, looks = arrays["variants"].tolist(), arrays["looks"].tolist()
    limits = dict(zip(arrays["limit_names"].tolist(), arrays["limits"].tolist(), strict=True))
    scores = np.full((len(names), len(arrays["which"]), len(looks)), np.nan)
    for run, number in enumerate(arrays["which"].tolist()):
        looker = Looker(references, number, arrays, run)
        if not hastened:
            hasten(looker, looks[0])
            hastened.append(True)
        wanted = {name for name in names if limits.get(name, 0.0) < np.inf}
        for place, seen in enumerate(looks):
            found = looker.look(seen, wanted)
            for name, score in found.items():
                scores[names.index(name), run, place] = score
            wanted -= {name for name, score in found.items() if score >= limits.get(name, np.inf)}
            if not wanted:
                break
    return scores


def read(path):
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def main(known):
    # What the packages print is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    # The packages bring a million objects that stay: nobody need look through them for garbage.
    gc.freeze()
    references, hastened = References(read(known)), []
    for line in sys.stdin:
        source, target = line.rstrip("\n").split("\t")
        scores = scored(references, read(source), hastened)
        with Path(target).open("wb") as out:
            np.savez(out, scores=scores)
        print(target, file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
