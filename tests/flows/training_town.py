"""A home with a champion and a frozen cohort of phantoms, and a schedule that a test can wait for."""

import csv
from dataclasses import replace
from pathlib import Path

from flows import standing
from flows.cohorts import Purpose, import_labelled
from flows.house import House, open_house
from models.catalog import catalog
from models.phantoms import chest
from models.training import order, recipes
from radloop.domain.learning import Cohort
from radloop.settings import load_settings
from radloop.store import Keyring
from tests.peers.dicom_files import part10

MODEL = "cxr_pneumonia"
IMAGES = 44
TINY = replace(
    recipes.CHEST, retrain=replace(recipes.CHEST.retrain, epochs=2), schedule=replace(recipes.CHEST.schedule, epochs=1)
)
SETTINGS = """
[consent]
policy = "training"
[training]
threads = 1
device = "cpu"
overrides = 3
"""


def make_home(home: Path) -> House:
    """Keys, tables, and the model of the zoo as champion."""
    home.mkdir()
    (home / "radloop.toml").write_text(SETTINGS)
    settings = load_settings(home)
    Keyring.create(settings.keys_path)
    house = open_house(settings)
    house.ledger.upgrade()
    standing.ship(house, catalog()[MODEL].bundle, "test")
    return house


def write_set(folder: Path, images: int = IMAGES) -> Path:
    """Phantoms, half of them with the finding, and their table."""
    folder.mkdir()
    table = folder / "labels.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "patient", "site", "split"])
        for seed in range(images):
            found = seed % 2 == 0
            (folder / f"{seed}.dcm").write_bytes(part10(chest(seed, opacity=found, rows=256)))
            split = "train" if seed // 2 % 4 else "validation"
            rows.writerow([f"{seed}.dcm", int(found), f"p{seed}", "phantoms", split])
    return table


def freeze(house: House, folder: Path) -> Cohort:
    return import_labelled(house, folder, folder / "labels.csv", MODEL, "test", purpose=Purpose.TRAIN)


def tiny() -> dict[str, recipes.Recipe]:
    """The recipes of a test: the schedules of two epochs."""
    return {MODEL: TINY}


__all__ = ["MODEL", "freeze", "make_home", "order", "tiny", "write_set"]
