"""Labelled head CT phantoms as a folder to train from: `python -m models.phantoms.labelled FOLDER [--patients N]`.

Half of them bleed. `labels.csv` names every file with its label, as `python -m models.training` reads it.
"""

import argparse
import csv
from pathlib import Path
from typing import Final

from models.phantoms.head_ct import head_ct

FIRST_SEED: Final = 100_000
"""Demonstrations and tests use small seeds, the phantoms that join every training set larger ones."""
ROWS: Final = 256


def write(folder: Path, patients: int) -> None:
    """One slice for each patient, and their labels."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(["file", "label"])
        for number in range(patients):
            bleed = number % 2 == 0
            (ds,) = head_ct(FIRST_SEED + number, bleed, rows=ROWS)
            ds.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)
            rows.writerow([f"{number:04}.dcm", "haemorrhage" if bleed else "no-finding"])


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m models.phantoms.labelled", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to, empty or new")
    parser.add_argument("--patients", type=int, default=400, help="how many")
    asked = parser.parse_args()
    write(asked.folder, asked.patients)


if __name__ == "__main__":
    main()
