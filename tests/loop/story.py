"""What is told: lines on the terminal as it happens, and `docs/loop-*.md` at the end."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Story:
    """The lines of one document."""

    title: str
    command: str
    path: Path
    begun: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._say(f"== {title}")
        self.lines += ["", f"## {title}", ""]

    def tell(self, text: str) -> None:
        """One paragraph."""
        self._say(text)
        self.lines += [text, ""]

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table."""
        body = [[_cell(cell) for cell in row] for row in rows]
        for row in body:
            self._say("   " + " | ".join(row))
        drawn = [columns, ["---"] * len(columns), *body]
        self.lines += [*("| " + " | ".join(row) + " |" for row in drawn), ""]

    def figure(self, svg: str, name: str, alt: str) -> None:
        """A curve, in a file beside the document."""
        path = self.path.with_name(f"{self.path.stem}-{name}.svg")
        path.write_text(svg, encoding="utf-8")
        self.lines += [f"![{alt}]({path.name})", ""]

    def write(self) -> None:
        """The document."""
        minutes = (time.monotonic() - self.begun) / 60
        head = [
            f"# {self.title}",
            "",
            f"Written by `{self.command}` in {minutes:.1f} minutes; every number is of that run.",
        ]
        self.path.write_text("\n".join([*head, *self.lines]).rstrip() + "\n", encoding="utf-8")
        self._say(f"wrote {self.path} after {minutes:.1f} minutes")

    def _say(self, text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.begun:7.1f} s  {text}\n")
        sys.stdout.flush()


def _cell(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return "" if cell is None else str(cell)
