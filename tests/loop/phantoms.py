"""Phantom sites: a first model of site A meets site B, is overridden, learns, passes, and is taken back later.

Simulated patients, simulated readers: what is shown is that the loop closes, not that a model is good for anyone.
"""

import csv
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from models.phantoms import sites
from models.phantoms.sites import SITES, Case, SimulatedReader
from tests.loop.act import Act
from tests.loop.doors import Reading, reading_of
from tests.loop.stage import READERS, Stage, stage
from tests.loop.story import Story

MODEL: Final = "cxr_pneumonia"
READER_ERROR: Final = 0.03
LABELLED: Final = 500
TEST: Final = 500
TRAFFIC: Final = 200
SILENT: Final = 30
CHANGED: Final = 60


def tell(out: Path) -> None:
    """Run the whole story, and write it down."""
    story = Story("The learning loop on phantom sites", "make loop", out / "loop-phantoms.md")
    story.tell(
        "Simulated hospitals and simulated readers: no patient, and no claim about any model. What is shown is that "
        "every step of the loop runs, with real processes: studies come by C-STORE, verdicts by REST, DICOM SR, HL7 "
        "and the command line, and nothing below was typed in by hand. The sites are in `models/phantoms/sites.py`."
    )
    with stage(bare=True) as opened:
        Phantoms(opened, story).play()
        story.write()


class Phantoms(Act):
    """The chapters, in their order."""

    def __init__(self, opened: Stage, story: Story) -> None:
        super().__init__(opened, story, MODEL)
        self.readers = [SimulatedReader(name=name, error=READER_ERROR) for name in READERS]

    def play(self) -> None:
        """From no champion to a champion that was taken back."""
        first = self.bootstrap()
        self.meet_site_b()
        test = self.test_set()
        second = self.learn(test)
        self.corrupted(test)
        self.shadow(second)
        self.swap(second)
        self.damaged(second)
        self.taken_back(first)

    def bootstrap(self) -> str:
        """A first model, from site A alone."""
        self.story.chapter("The first champion")
        labelled = self.cohort(self.drawn("A", LABELLED, 1), "train")
        test = self.cohort(self.drawn("A", TEST, 2), "test")
        self.story.tell(f"Site A labels {LABELLED} radiographs to learn from, and {TEST} blinded ones to test on.")
        version = self.retrain("--from-scratch", "--cohort", labelled["id"])["version"]
        self.story.tell("There is no champion to compare with, so the plan's absolute floors hold, and two people.")
        self.must("PASS", self.evaluate(version, test["id"]))
        self.curves(version)
        self.approve(version)
        return str(version)

    def meet_site_b(self) -> None:
        """Live studies of both sites, and what readers say of the answers."""
        self.story.chapter("Traffic, and what the readers say")
        cases = [*sites.cases(SITES["A"], TRAFFIC // 4, 11), *sites.cases(SITES["B"], TRAFFIC, 12)]
        self.read_cases(cases)

    def test_set(self) -> str:
        """Blinded labels of both sites, frozen before anything is trained on verdicts."""
        self.story.chapter("The test set")
        folder = self.stage.folder / "both"
        folder.mkdir()
        parts = [self.drawn(name, TEST, 21) for name in ("A", "B")]
        _joined(folder / "labels.csv", parts, self.stage.folder)
        cohort = self.cohort(self.stage.folder, "test", folder / "labels.csv")
        self.story.tell(
            f"{TEST} radiographs of site A and {TEST} of site B, blinded labels, digest `{cohort['digest'][:16]}`."
        )
        return str(cohort["id"])

    def learn(self, test: str) -> str:
        """The overrides become a challenger, and the challenger meets the gates."""
        self.story.chapter("Overrides become a challenger")
        cohort = self.stage.json("cohort", "build", self.model, who="mira")
        self.story.table(("of the cohort", "how many"), cohort["counts"].items())
        version = str(self.retrain("--cohort", cohort["id"])["version"])
        self.too_few(version)
        self.story.chapter("The gates")
        self.must("PASS", self.evaluate(version, test))
        self.curves(version)
        return version

    def corrupted(self, test: str) -> None:
        """A challenger that learned every label the wrong way round is refused, and the failing gates are named."""
        self.story.chapter("A challenger trained on corrupted labels")
        folder = self.drawn("B", LABELLED, 31)
        _turned(folder / "labels.csv")
        cohort = self.cohort(folder, "train")
        version = self.retrain("--cohort", cohort["id"])["version"]
        found = self.evaluate(version, test)
        self.must("FAIL", found)
        failing = [one["gate"] for one in found["gates"] if one["outcome"] == "FAIL"]
        self.story.tell(
            f"Its {LABELLED} labels were read the wrong way round, present for absent. "
            f"Refused by: {', '.join(failing)}."
        )

    def too_few(self, version: str) -> None:
        """Twenty cases decide nothing."""
        self.story.chapter("Too few cases")
        cohort = self.cohort(self.drawn("B", 20, 41), "test")
        self.must("INSUFFICIENT_EVIDENCE", self.evaluate(version, cohort["id"]))

    def shadow(self, version: str) -> None:
        """It answers live traffic silently."""
        self.story.chapter("In the shadow")
        self.stage.json("shadow", f"{self.model}@{version}", who="mira")
        cases = [*sites.cases(SITES["A"], SILENT // 2, 51), *sites.cases(SITES["B"], SILENT // 2, 52)]
        rows = self.send(self.files(cases))
        found = self.until(
            lambda: self.stage.json("compare", f"{self.model}@{version}"), lambda f: f and f[0]["studies"] >= SILENT
        )
        one = found[0]
        share = one["agreement"]
        self.story.tell(
            f"Version {version} read {one['studies']} studies beside the champion and sent nothing: agreement "
            f"{share['value']:.3f} ({share['low']:.3f} to {share['high']:.3f}), {len(one['disagreements'])} studies on "
            f"the list of disagreements, median {one['silent_seconds']:.2f} s against {one['champion_seconds']:.2f} s. "
            f"What was sent is the champion's: {_sent(rows)}."
        )

    def swap(self, version: str) -> None:
        """Two approvals; studies are sent meanwhile, and none waits."""
        self.story.chapter("Two approvals, and the swap")
        self.approve(version)
        rows = self.send(self.files(sites.cases(SITES["B"], 12, 61)))
        answered = Counter(
            result["version"] for row in rows.values() for result in row["results"] if result["standing"] != "SHADOW"
        )
        self.story.tell(f"The next studies were answered by version {', '.join(answered)}; no process was restarted.")

    def damaged(self, version: str) -> None:
        """One bit flipped in the weights of a version: refused at load, the champion keeps answering."""
        self.story.chapter("One bit flipped")
        other = next(row for row in self.stage.versions(self.model) if row["standing"] == "CHALLENGER")
        path = self.stage.home / "models" / self.model / other["digest"] / "models" / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)
        words = self.stage.refused("shadow", f"{self.model}@{other['version']}", who="mira")
        champion = self.stage.champion(self.model)
        still = champion["version"] if champion else "nobody"
        self.story.tell(
            f"One bit of version {other['version']} is flipped on disk. Asked to stand in the shadow: “{words}”. "
            f"The champion is {still}, as before ({version}), and answers the next study."
        )
        self.send(self.files(sites.cases(SITES["A"], 1, 66)))

    def taken_back(self, first: str) -> None:
        """Site C turns up; its readers disagree; the stop rule fires by itself."""
        self.story.chapter("A stop rule fires")
        self.story.tell(
            "Another scanner is connected (site C, with a film reader that inverts the grey scale and says nothing of "
            "it), and its readers disagree with what the champion says."
        )
        cases = sites.cases(SITES["C"], CHANGED, 71)
        begun = time.monotonic()
        self.read_cases(cases, turned=True)
        champion = self.until(lambda: self.stage.champion(self.model), lambda row: row and row["version"] == first, 60)
        self.story.tell(
            f"Version {champion['version']} answers again, {time.monotonic() - begun:.0f} s after the first of these "
            "studies was sent."
        )
        self.standing()
        self.runs()
        sound = self.stage.json("audit", "verify")
        self.story.tell(f"`radloop audit verify`: {sound['sealed']} records hold, sound: {sound['sound']}.")

    # what the chapters are made of

    def drawn(self, name: str, count: int, seed: int) -> Path:
        """The folder of a labelled set of a site."""
        folder = self.stage.folder / f"site-{name}-{seed}"
        if not folder.exists():
            sites.write(folder, sites.cases(SITES[name], count, seed))
        return folder

    def files(self, cases: Sequence[Case], turned: bool = False) -> list[Path]:
        """The cases as files, one study each."""
        folder = self.stage.folder / f"live-{cases[0].site.name}-{cases[0].seed}"
        folder.mkdir(exist_ok=True)
        made = []
        for case in cases:
            ds = sites.radiograph(case)
            if turned:
                ds.PixelData = (4095 - ds.pixel_array).tobytes()
            made.append(folder / case.name)
            ds.save_as(made[-1], enforce_file_format=True)
        return made

    def read_cases(self, cases: Sequence[Case], turned: bool = False) -> None:
        """Send, wait, have them read."""
        rows = self.send(self.files(cases, turned))
        by_accession = dict(zip(cases, self.uids(cases), strict=True))
        readings = [
            reading_of(case, rows[by_accession[case]], self.readers[number % len(self.readers)])
            for number, case in enumerate(cases)
            if any(result["status"] == "OK" for result in rows[by_accession[case]]["results"])
        ]
        self.told_agreement(readings, cases)
        self.read(readings)

    def uids(self, cases: Sequence[Case]) -> list[str]:
        """Study UIDs of cases."""
        return [str(sites.radiograph(case, rows=16).StudyInstanceUID) for case in cases]

    def told_agreement(self, readings: Sequence[Reading], cases: Sequence[Case]) -> None:
        """How often the readers agree, site by site."""
        agree: dict[str, list[bool]] = {}
        for one, case in zip(readings, cases, strict=True):
            agree.setdefault(case.site.name, []).append(one.kind.value == "CONFIRM")
        self.story.table(
            ("site", "studies", "readers agree"),
            [(name, len(said), sum(said) / len(said)) for name, said in agree.items()],
        )

    def must(self, outcome: str, found: Mapping[str, Any]) -> None:
        """The story depends on it."""
        if found["outcome"] != outcome:
            raise SystemExit(f"the gates came to {found['outcome']}, and the story needs {outcome}")

    def until(self, ask: Callable[[], Any], fine: Callable[[Any], bool], seconds: float = 120) -> Any:
        """Ask until it is fine."""
        deadline = time.monotonic() + seconds
        while True:
            said = ask()
            if fine(said):
                return said
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {seconds:.0f} s")
            time.sleep(1.0)


def _joined(table: Path, parts: Sequence[Path], root: Path) -> None:
    """One table of several folders; file names relative to their common folder."""
    with table.open("w", newline="", encoding="utf-8") as lines:
        out = csv.writer(lines)
        out.writerow(sites.COLUMNS)
        for part in parts:
            with (part / "labels.csv").open(newline="", encoding="utf-8") as given:
                rows = list(csv.DictReader(given))
            out.writerows([str(part.relative_to(root) / row["file"]), *list(row.values())[1:]] for row in rows)


def _sent(rows: Mapping[str, Any]) -> str:
    """Which deliveries the studies have, in words."""
    kinds = Counter(", ".join(sorted(one["kind"] for one in row["deliveries"])) for row in rows.values())
    return "; ".join(f"{count} studies with {said or 'nothing'}" for said, count in kinds.items())


def _turned(table: Path) -> None:
    """Read every label the wrong way round."""
    with table.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        row["label"] = sites.NONE if row["label"] == sites.TARGET else sites.TARGET
    with table.open("w", newline="", encoding="utf-8") as lines:
        out = csv.DictWriter(lines, sites.COLUMNS)
        out.writeheader()
        out.writerows(rows)
