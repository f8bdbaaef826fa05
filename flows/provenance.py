"""Which build this is: the git commit, or the package's version, and whether the sources of models are another's."""

import hashlib
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import models

ROOT: Final = Path(models.__file__).parents[1]
SECONDS: Final = 10.0
SHORT: Final = 12


@cache
def commit() -> str:
    """The commit of the checkout that runs, "" where there is none."""
    return _git("rev-parse", "HEAD").strip()


@cache
def build() -> str:
    """What two runs must share to give the same weights: the commit; with the hash of the sources where they differ.

    At most 64 characters.
    """
    base = commit()
    if base and not _git("status", "--porcelain", "--", "models").strip():
        return base
    return f"{base or version('radloop')}+{_sources()}"


def _sources() -> str:
    """A short SHA-256 over everything in `models` that is Python."""
    folder = ROOT / "models"
    files = sorted(path for path in folder.rglob("*.py"))
    sums = (f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()[:SHORT]


def _git(*arguments: str) -> str:
    if not (ROOT / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
