"""A process that retrains, for a test to kill: `python -m tests.flows.drive_retrain HOME COHORT`."""

import sys
from pathlib import Path

from flows import provenance
from flows.house import open_house
from flows.retrain import retrain
from radloop.settings import load_settings
from tests.flows import training_town as town

if __name__ == "__main__":
    town.order.RECIPES = town.tiny()
    provenance.build = lambda: "test-build"  # type: ignore[assignment]
    house = open_house(load_settings(Path(sys.argv[1])))
    retrain(house, town.MODEL, "anna", sys.argv[2], told=lambda step: print(step.member, step.epoch, flush=True))  # noqa: T201
