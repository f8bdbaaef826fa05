"""`python -m tests.loop [--data FOLDER] [--out docs]`."""

import argparse
from pathlib import Path

from tests.loop import folder, phantoms


def main() -> None:
    """Tell one story."""
    parser = argparse.ArgumentParser(prog="python -m tests.loop", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of DICOM images with labels.csv; else phantom sites")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where the story is written")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.data:
        folder.tell(asked.data.absolute(), asked.out)
    else:
        phantoms.tell(asked.out)


if __name__ == "__main__":
    main()
