"""Runs what the documentation tells a reviewer to type, so that it stays true."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[1] / "docs"
TOOL: Final = "model_signing"


def as_written(page: str, names: dict[str, Path]) -> "subprocess.CompletedProcess[str]":
    """Run the page's command of model-signing, with these paths for the names that stand in it."""
    (line,) = re.findall(rf"(?m)^{TOOL} verify .*$", (DOCS / page).read_text())
    for name, path in names.items():
        assert name in line
        line = line.replace(name, str(path))
    _, *asked = shlex.split(line)
    return subprocess.run([sys.executable, "-m", TOOL, *asked], capture_output=True, text=True, timeout=60, check=False)
