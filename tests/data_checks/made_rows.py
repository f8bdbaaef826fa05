"""Rows made from a seed, for the tests of what reads them."""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from data_checks.columns import Columns

DEVICES = (("north", "Maker One R1"), ("north", "Maker One R2"), ("south", "Maker Two R3"))
SHARES = (0.5, 0.3, 0.2)
START = np.datetime64("2026-01-05T08:00:00", "us")
MIXING = np.random.default_rng(0).normal(size=(8, 64))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to make. From row `since` on the device at `place` is another: each field says how."""

    count: int
    seed: int
    place: int = 1
    since: int = 0
    software: str = ""
    shift: float = 0.0
    turned: float = 0.0
    kvp: float = 0.0
    disagreeing: float = 0.05
    lost: bool = False


def made(wanted: Wanted) -> Columns:
    """The rows."""
    rng = np.random.default_rng(wanted.seed)
    n = wanted.count
    which = rng.choice(len(DEVICES), n, p=SHARES)
    hit = (which == wanted.place) & (np.arange(n) >= wanted.since)
    noise = rng.normal(0.4, 0.05, n) + 0.05 * wanted.shift * hit
    kvp = np.round(rng.normal(120, 4, n)) + wanted.kvp * hit
    hidden = rng.normal(size=(n, 8)) + (wanted.turned * hit)[:, None]
    return Columns(
        ids=np.array([f"re_{wanted.seed}_{number}" for number in range(n)]),
        at=START + np.arange(n) * np.timedelta64(10, "m"),
        numeric={
            "kvp": kvp,
            "noise": np.where(hit & wanted.lost, np.nan, noise),
            "p50": rng.normal(0.5, 0.1, n) + 0.1 * wanted.shift * hit,
            "score:pneumonia": rng.beta(0.7, 0.7, n),
        },
        categorical={
            "software": np.where(hit & (wanted.software != ""), wanted.software or "1.0", "1.0"),
            "kernel": np.full(n, "STD"),
            "model_name": np.array([DEVICES[one][1].split()[1] for one in which]),
            "view": rng.choice(["PA", "AP"], n, p=[0.8, 0.2]),
        },
        sites=np.array([DEVICES[one][0] for one in which]),
        devices=np.array([DEVICES[one][1] for one in which]),
        disagree=(rng.random(n) < np.where(hit, wanted.disagreeing, 0.05)).astype(float),
        embedding=(hidden @ MIXING + 0.3 * rng.normal(size=(n, 64))).astype(np.float32),
    )


def none_of(rows: Columns) -> Columns:
    """No rows, with the same columns."""
    return rows.take(np.arange(0))


def moment(rows: Columns, place: int) -> dt.datetime:
    """When a row was written."""
    return rows.at[place].item().replace(tzinfo=dt.UTC)
