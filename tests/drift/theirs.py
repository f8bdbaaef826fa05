"""What evidently and alibi-detect say at each look. Runs in an environment of its own, and imports nothing of ours.

`python theirs.py ARRAYS OUT`: ARRAYS holds the streams, the references and the looks as arrays of numpy's; OUT gets
(runs, looks) scores for each variant, higher meaning surer. With limits, a variant stops at the first look that
reaches its own. Every variant sees the latest studies of each device apart, and says what its worst device says, or
the latest studies of all together: the statistics are the packages' own, called as they document it.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")

import pandas as pd  # noqa: E402
import torch  # noqa: E402
from alibi_detect.cd import MMDDrift, TabularDrift  # noqa: E402
from evidently.legacy.calculations.stattests import (  # noqa: E402
    chi_stat_test,
    jensenshannon_stat_test,
    ks_stat_test,
    psi_stat_test,
    wasserstein_stat_test,
)
from evidently.legacy.core import ColumnType  # noqa: E402
from evidently.legacy.metrics.data_drift.embedding_drift_methods import distance  # noqa: E402

torch.set_num_threads(1)
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
        self.numeric, self.categorical, self.embedding = numeric, categorical, embedding
        self.series = [pd.Series(column) for column in numeric.T]
        self.texts = [pd.Series(column).astype(str) for column in categorical.T]
        width, kinds = numeric.shape[1], categorical.shape[1]
        rows = np.concatenate([numeric, categorical], axis=1)
        known = {width + side: None for side in range(kinds)}
        self.tabular = TabularDrift(rows, p_val=0.05, categories_per_feature=known)
        kept = embedding[:: max(1, len(embedding) // MOST)].astype(np.float32)
        self.mmd = MMDDrift(kept, backend="pytorch", n_permutations=1)


def evidently_p(known, rows):
    """KS of numeric and chi-square of categorical columns: evidently's choice for small data. (columns,) p."""
    numeric, categorical, _ = rows
    p = [
        ks_stat_test(reference_data=a, current_data=pd.Series(b), feature_type=ColumnType.Numerical, threshold=None)
        .drift_score for a, b in zip(known.series, numeric.T, strict=True)
    ]  # fmt: skip
    p += [
        chi_stat_test(reference_data=a, current_data=pd.Series(b).astype(str),
                      feature_type=ColumnType.Categorical, threshold=None).drift_score
        for a, b in zip(known.texts, categorical.T, strict=True)
    ]  # fmt: skip
    return np.nan_to_num(np.array(p, float), nan=1.0)


def smallest(p):
    return -np.log10(max(p.min(), SMALLEST))


def share(p):
    """Evidently's own rule for a data set, the share of columns at p < 0.05; ties are broken by how far."""
    return np.mean(p < 0.05) + 1e-3 * np.mean(-np.log10(np.maximum(p, SMALLEST)))


def evidently_distance(known, rows):
    """Normed Wasserstein and Jensen-Shannon distances: evidently's choice for large data. The largest of them."""
    numeric, categorical, _ = rows
    found = [
        wasserstein_stat_test(reference_data=a, current_data=pd.Series(b), feature_type=ColumnType.Numerical,
                              threshold=None).drift_score for a, b in zip(known.series, numeric.T, strict=True)
    ] + [
        jensenshannon_stat_test(reference_data=a, current_data=pd.Series(b).astype(str),
                                feature_type=ColumnType.Categorical, threshold=None).drift_score
        for a, b in zip(known.texts, categorical.T, strict=True)
    ]  # fmt: skip
    return float(np.nan_to_num(np.array(found, float)).max())


def evidently_psi(known, rows):
    numeric, _, _ = rows
    return max(
        psi_stat_test(reference_data=a, current_data=pd.Series(b), feature_type=ColumnType.Numerical,
                      threshold=None).drift_score for a, b in zip(known.series, numeric.T, strict=True)
    )  # fmt: skip


def evidently_embedding(known, rows):
    return distance()(pd.DataFrame(rows[2]), pd.DataFrame(known.embedding))[0]


def alibi_tabular(known, rows):
    numeric, categorical, _ = rows
    p = known.tabular.predict(np.concatenate([numeric, categorical], axis=1))["data"]["p_val"]
    return smallest(np.nan_to_num(p.astype(float), nan=1.0))


def alibi_mmd(known, rows):
    return float(known.mmd.predict(rows[2].astype(np.float32))["data"]["distance"])


def alibi_mmd_short(known, rows):
    """On the latest 20, as alibi-detect's online detector slides a window; that one itself takes seconds to set up."""
    return float(known.mmd.predict(rows[2][-SHORT:].astype(np.float32))["data"]["distance"])


class Looker:
    """One run: its stream, its references by device and of all, what has stopped."""

    def __init__(self, stream, references, limits):
        self.numeric, self.categorical, self.device, self.embedding = stream
        self.each, self.whole = references
        self.limits = limits

    def windows(self, seen):
        for device, known in self.each.items():
            rows = np.flatnonzero(self.device[:seen] == device)[-EACH:]
            if len(rows) >= LEAST:
                yield known, (self.numeric[rows], self.categorical[rows], self.embedding[rows])

    def latest(self, seen):
        rows = slice(max(0, seen - ALL), seen)
        return self.numeric[rows], self.categorical[rows], self.embedding[rows]

    def look(self, seen, wanted):
        """Scores by variant, of those wanted."""
        out = {}
        windows = list(self.windows(seen))
        if {"evidently ks+chi2", "evidently ks", "evidently share"} & wanted:
            p = [evidently_p(known, rows) for known, rows in windows]
            out["evidently ks+chi2"] = max((smallest(one) for one in p), default=0.0)
            out["evidently share"] = max((share(one) for one in p), default=0.0)
            # Without the protocol's name, whose long tail of rare values chi-square takes for proof.
            out["evidently ks"] = max((smallest(one[: self.numeric.shape[1]]) for one in p), default=0.0)
        for name, test in PER_DEVICE.items():
            if name in wanted:
                out[name] = max((test(known, rows) for known, rows in windows), default=0.0)
        rows = self.latest(seen)
        if {"evidently all ks+chi2", "evidently all share"} & wanted:
            p = evidently_p(self.whole, rows)
            out["evidently all ks+chi2"], out["evidently all share"] = smallest(p), share(p)
        if "alibi all tabular" in wanted:
            out["alibi all tabular"] = alibi_tabular(self.whole, rows)
        return out


PER_DEVICE = {
    "evidently wasserstein+js": evidently_distance,
    "evidently embedding": evidently_embedding,
    "alibi tabular": alibi_tabular,
    "alibi mmd": alibi_mmd,
    "alibi mmd short": alibi_mmd_short,
}
VARIANTS = (
    "evidently ks+chi2", "evidently ks", "evidently share", "evidently wasserstein+js", "evidently embedding",
    "evidently all ks+chi2", "evidently all share",
    "alibi tabular", "alibi mmd", "alibi mmd short", "alibi all tabular",
)  # fmt: skip


def references(arrays, number):
    parts = [arrays[f"reference_{name}"][number] for name in ("numeric", "categorical", "device", "embedding")]
    numeric, categorical, device, embedding = parts
    each = {
        int(one): Reference(numeric[device == one], categorical[device == one], embedding[device == one])
        for one in np.unique(device)
    }
    return each, Reference(numeric, categorical, embedding)


def main(source, target):
    with np.load(source, allow_pickle=False) as kept:
        arrays = {name: kept[name] for name in kept.files}
    limits = dict(zip(arrays["limit_names"].tolist(), arrays["limits"].tolist(), strict=True))
    known = {}
    runs, looks = len(arrays["numeric"]), [int(one) for one in arrays["looks"]]
    scores = np.full((len(VARIANTS), runs, len(looks)), np.nan)
    for run in range(runs):
        number = int(arrays["which"][run])
        if number not in known:
            known[number] = references(arrays, number)
        stream = [arrays[name][run] for name in ("numeric", "categorical", "device", "embedding")]
        looker = Looker(stream, known[number], limits)
        wanted = {name for name in VARIANTS if limits.get(name, 0.0) < np.inf}
        for place, seen in enumerate(looks):
            for name, score in looker.look(seen, wanted).items():
                if name in wanted:
                    scores[VARIANTS.index(name), run, place] = score
                    if name in limits and score >= limits[name]:
                        wanted.discard(name)
            if not wanted:
                break
    with Path(target).open("wb") as out:
        np.savez(out, scores=scores, variants=np.array(VARIANTS))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
