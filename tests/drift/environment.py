"""The environment that evidently and alibi-detect live in: they need an older numpy than we do."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / ".venv-drift"
CONSTRAINTS = HERE / "constraints.txt"
PACKAGES = ("evidently", "alibi-detect", "torch")


def ready() -> Path:
    """Its interpreter; made where it is not there, or where the constraints changed since."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".ready"
    if not stamp.exists() or stamp.stat().st_mtime < CONSTRAINTS.stat().st_mtime:
        print(f"installing {' and '.join(PACKAGES[:2])} into {FOLDER.name} (minutes, once)", flush=True)  # noqa: T201
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        subprocess.run([*install, "-c", str(CONSTRAINTS), *PACKAGES], check=True)
        stamp.touch()
    return python
