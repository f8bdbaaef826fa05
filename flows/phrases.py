"""What a report says of a finding, by the site's own phrases. Never guessed, and never for longer than it may."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

SECONDS: Final = 2
"""For all patterns over one report: a catastrophic one costs this, and the report is left for a person."""
CHILD: Final = Path(__file__).with_name("phrase_child.py")


class Hearing(StrEnum):
    """What the phrases came to."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"
    CONTRADICTORY = "CONTRADICTORY"
    """It says both."""
    SILENT = "SILENT"
    """No phrase matched."""
    TOO_SLOW = "TOO_SLOW"
    """The patterns did not come to an end in time."""


# Whether an absent pattern matched, and whether a present one did beside it.
HEARINGS: Final = {
    (False, False): Hearing.SILENT,
    (False, True): Hearing.PRESENT,
    (True, False): Hearing.ABSENT,
    (True, True): Hearing.CONTRADICTORY,
}


@dataclass(frozen=True, slots=True)
class Question:
    """Patterns that say that a finding is not there, tried first, and patterns that say that it is."""

    absent: tuple[str, ...]
    present: tuple[str, ...]


def hear(text: str, questions: Sequence[Question]) -> tuple[Hearing, ...]:
    """Put every question to a text, its white space made single spaces, in one process that is killed when late."""
    if not any(one.absent or one.present for one in questions):
        return (Hearing.SILENT,) * len(questions)
    asked = {"text": " ".join(text.split()), "questions": [asdict(question) for question in questions]}
    lines = _run(json.dumps(asked).encode())
    heard = [HEARINGS[tuple(json.loads(line))] for line in lines]
    return (*heard, *[Hearing.TOO_SLOW] * (len(questions) - len(heard)))


def _run(asked: bytes) -> list[bytes]:
    """The lines that were answered in time. The text goes in by a pipe: it stands in no list of processes."""
    command = [sys.executable, "-I", "-S", str(CHILD), str(SECONDS)]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=2 * SECONDS, check=False, env={})
    except subprocess.TimeoutExpired as late:
        return _whole_lines(late.stdout or b"")
    return _whole_lines(done.stdout)


def _whole_lines(output: bytes) -> list[bytes]:
    return output.split(b"\n")[:-1]
