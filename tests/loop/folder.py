"""A folder of labelled real images: the champion reads them, labels speak as readers, it retrains, gates decide.

Nothing is bent to get to a promotion: with a few dozen test images the gates of the plan cannot decide, and say so.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import dcmread

from models.training.recipes import RECIPES
from tests.loop.act import Act
from tests.loop.doors import Reading
from tests.loop.stage import READERS, Stage, stage
from tests.loop.story import Story

TRAFFIC: Final = 40
"""Every n-th image becomes live traffic, so that at most this many are sent."""


@dataclass(frozen=True)
class Labelled:
    """One image of the folder."""

    path: Path
    study_uid: str
    there: bool


def tell(data: Path, out: Path) -> None:
    """Run the story on a folder with `labels.csv`, and write it down."""
    images, model = read_folder(data)
    command = f"make loop DATA=../shared/data/{data.name}"
    story = Story(f"The learning loop on {data.name}", command, out / f"loop-{data.name}.md")
    story.tell(
        f"{len(images)} real, public images, {sum(one.there for one in images)} of them with the finding. The shipped "
        "champion of this model was trained on images of the same set: whatever it says of them flatters it, and no "
        "accuracy of this page is a claim. What is shown is that the loop closes on real images, and that the gates of "
        "the change plan, whose margins are untouched, decide only what they can."
    )
    with stage(bare=False) as opened:
        Folder(opened, story, model, images, data).play()
        story.write()


class Folder(Act):
    """The chapters, in their order."""

    def __init__(self, opened: Stage, story: Story, model: str, images: Sequence[Labelled], data: Path) -> None:
        super().__init__(opened, story, model)
        self.images = images
        self.data = data

    def play(self) -> None:
        """From the shipped champion to what the evidence says."""
        before = self.stage.champion(self.model)
        self.story.chapter("Traffic, and what the labels say")
        self.read(self.readings())
        self.story.chapter("Labels and verdicts become a challenger")
        labelled = self.cohort(self.data, "all")
        self.story.table(("of the imported set", "how many"), labelled["counts"].items())
        built = self.stage.json("cohort", "build", self.model, who="mira")
        self.story.table(("of the cohort", "how many"), built["counts"].items())
        version = self.retrain("--cohort", built["id"])["version"]
        self.story.chapter("What the gates say")
        found = self.evaluate(version, labelled["id"])
        self.curves(version)
        self.story.chapter("And so")
        self.shadow(version)
        if found["outcome"] == "PASS":
            self.approve(version)
        else:
            words = self.stage.refused("approve", f"{self.model}@{version}", who="anna")
            self.story.tell(f"anna wants to approve it all the same: “{words}”.")
        after = self.stage.champion(self.model)
        self.story.tell(
            f"The champion was {before['version'] if before else None}, and is {after['version'] if after else None}."
        )
        self.standing()
        self.runs()

    def readings(self) -> list[Reading]:
        """Send a share of the images; the set's own labels are the readers' words."""
        step = -(-len(self.images) // TRAFFIC)
        studies: dict[str, list[Labelled]] = {}
        for one in self.images:
            studies.setdefault(one.study_uid, []).append(one)
        chosen = dict(list(studies.items())[::step])
        rows = self.send([one.path for many in chosen.values() for one in many])
        target = RECIPES[self.model].target.name
        readings = [
            Reading(uid, rows[uid], target, READERS[number % 2], any(one.there for one in many))
            for number, (uid, many) in enumerate(chosen.items())
            if any(result["status"] == "OK" for result in rows[uid]["results"])
        ]
        kinds = Counter(one.kind.value for one in readings)
        said = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        self.story.tell(
            f"{len(readings)} of {len(chosen)} studies were read by the model; what their labels say of it: {said}."
        )
        return readings

    def shadow(self, version: str) -> None:
        """It answers silently what was sent."""
        self.stage.json("shadow", f"{self.model}@{version}", who="mira")
        rows = self.stage.json("replay", "--model", f"{self.model}@{version}", who="mira")
        one = rows[0]
        share = one["agreement"]
        self.story.tell(
            f"Version {version} read {one['studies']} of the stored studies silently: agreement with the champion "
            f"{share['value']:.3f} ({share['low']:.3f} to {share['high']:.3f})."
        )


def read_folder(data: Path) -> tuple[list[Labelled], str]:
    """The images that `labels.csv` names, and the model whose finding it labels."""
    with (data / "labels.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    words = {row["label"] for row in rows}
    model = next((name for name, recipe in RECIPES.items() if recipe.positive in words), None)
    if model is None:
        raise SystemExit(f"no model of the zoo knows one of the labels {sorted(words)}")
    positive = RECIPES[model].positive
    images = [_labelled(data / row["file"], row["label"] == positive) for row in rows]
    return images, model


def _labelled(path: Path, there: bool) -> Labelled:
    ds = dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
    return Labelled(path, str(ds.StudyInstanceUID), there)
