"""What both stories are made of: import, retrain, evaluate, shadow, approve, each by the command line, and told."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread

from tests.loop.doors import Reading, read_all
from tests.loop.stage import APPROVERS, TRAINER, Stage
from tests.loop.story import Story

SVG: Final = re.compile(r"<svg .*?</svg>", re.DOTALL)
TITLE: Final = re.compile(r"<title>(.*?)</title>")
MIRROR_SECONDS: Final = 90.0


class Act:
    """One model's story on one stage."""

    def __init__(self, opened: Stage, story: Story, model: str) -> None:
        self.stage = opened
        self.story = story
        self.model = model

    def cohort(self, folder: Path, purpose: str, table: Path | None = None) -> Any:
        """`radloop cohort import`."""
        return self.stage.json(
            *("cohort", "import", str(folder), str(table or folder / "labels.csv")),
            *("--model", self.model, "--purpose", purpose),
            who=TRAINER,
        )

    def retrain(self, *options: str) -> Any:
        """`radloop retrain`; the row of the version that it made."""
        begun = time.monotonic()
        run = self.stage.json("retrain", self.model, *options, who=TRAINER)
        made = next(row for row in self.stage.versions(self.model) if row["digest"] == run["digest"])
        cohort = self.stage.json("cohort", "show", run["cohort"])
        self.story.tell(
            f"`radloop retrain` made version {made['version']} ({made['standing']}) in "
            f"{time.monotonic() - begun:.0f} s: run `{run['id']}`, "
            f"cohort digest `{cohort['digest'][:16]}`, "
            f"commit `{run['commit'][:12]}`, {run['device']}, {run['threads']} threads, {run['processes']} process(es)."
        )
        return made

    def evaluate(self, version: str, cohort: str) -> Any:
        """`radloop evaluate`: every gate with its interval."""
        done = self.stage.cli("evaluate", self.model, version, "--cohort", cohort, "--json", who=TRAINER, check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            raise SystemExit(f"radloop evaluate: exit {done.returncode}\n{done.stderr}")
        found = json.loads(done.stdout)
        self.story.tell(
            f"`radloop evaluate {self.model} {version}`: **{found['outcome']}**, look {found['look']} at its test set, "
            f"one-sided alpha {found['alpha']:.4g}."
        )
        self.story.table(
            ("gate", "outcome", "value", "interval", "margin", "n", "why"), [_gate(one) for one in found["gates"]]
        )
        return found

    def curves(self, version: str) -> None:
        """The figures of `radloop card`, each in a file of its own."""
        page = self.stage.cli("card", f"{self.model}@{version}", "--format", "html").stdout
        for svg in SVG.findall(page):
            title = TITLE.search(svg)
            words = title.group(1) if title else "figure"
            name = re.sub(r"[^a-z]+", "-", re.split("[.,:(]", words)[0].lower()).strip("-")
            self.story.figure(svg, f"{version}-{name}", f"Version {version}: {words}")

    def approve(self, version: str) -> None:
        """Two different people say yes."""
        meant = f"{self.model}@{version}"
        refusal = self.stage.refused("approve", meant, who=TRAINER)
        self.story.tell(f"{TRAINER}, who trained it, wants to approve it and is refused: “{refusal}”.")
        first = self.stage.json("approve", meant, who=APPROVERS[0])
        again = self.stage.refused("approve", meant, who=APPROVERS[0])
        second = self.stage.json("approve", meant, who=APPROVERS[1])
        self.story.tell(
            f"{APPROVERS[0]} approves (it is {first['standing']} still), and a second time is refused: “{again}”. "
            f"{APPROVERS[1]} approves: version {version} is {second['standing']}."
        )

    def send(self, files: Sequence[Path], seconds: float = 400) -> Mapping[str, Any]:
        """C-STORE, and wait for the answers; rows by study UID."""
        seen = [dcmread(path, stop_before_pixels=True) for path in files]
        kept = self.stage.folder / "sent.json"
        known = json.loads(kept.read_text()) if kept.exists() else {}
        new = {
            str(ds.StudyInstanceUID): {"accession": str(ds.get("AccessionNumber", "")), "patient": str(ds.PatientID)}
            for ds in seen
        }
        kept.write_text(json.dumps({**known, **new}))
        begun = time.monotonic()
        self.stage.send(files)
        rows = self.stage.answered(list(new), seconds)
        spent = time.monotonic() - begun
        self.story.tell(
            f"{len(files)} images sent by C-STORE, all {len(new)} studies answered after {spent:.0f} s "
            f"({len(new) / spent:.1f} studies/s)."
        )
        return rows

    def read(self, readings: Sequence[Reading]) -> None:
        """Enter the readings by all four doors."""
        begun = time.monotonic()
        counts = read_all(self.stage, readings)
        spent = time.monotonic() - begun
        self.story.tell(
            f"{len(readings)} verdicts in {spent:.0f} s: "
            + ", ".join(f"{n} by {door}" for door, n in counts.items())
            + "."
        )

    def runs(self) -> None:
        """`radloop runs`: what was trained, and where MLflow shows it."""
        deadline = time.monotonic() + MIRROR_SECONDS
        while any(not row["mlflow_run"] for row in self.stage.json("runs", self.model)):
            if time.monotonic() > deadline:
                raise SystemExit(f"MLflow does not show every training run after {MIRROR_SECONDS:.0f} s")
            time.sleep(1.0)
        self.story.table(
            ("run", "state", "model digest", "MLflow run", "commit"),
            [
                (row["id"], row["state"], (row["digest"] or "")[:16], row["mlflow_run"], row["commit"][:12])
                for row in self.stage.json("runs", self.model)
            ],
        )

    def standing(self) -> None:
        """`radloop models history`."""
        rows = self.stage.json("models", "history", self.model)
        self.story.table(
            ("version", "from", "to", "by", "why"),
            [(r["version"], r["before"], r["after"], r["by"], r["why"]) for r in rows],
        )


def _gate(one: Mapping[str, Any]) -> tuple[object, ...]:
    interval = "" if one["low"] is None or one["high"] is None else f"{one['low']:.3f} to {one['high']:.3f}"
    return one["gate"], one["outcome"], one["value"], interval, one["margin"], one["n"], one["words"]
