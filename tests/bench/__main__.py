"""Every bench, one after the other: `python -m tests.bench --size small|full --out FOLDER`."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BENCHES = ("ingest", "inference", "answer", "training", "watch", "audit", "console")


def main(argv: Sequence[str] | None = None) -> int:
    """Run each bench as a process of its own; the number that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="folder for the JSON files")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    size = ["--quick"] if options.size == "small" else []
    failed = 0
    for name in BENCHES:
        print(f"== {name}", flush=True)  # noqa: T201 - a bench prints
        command = [sys.executable, "-m", f"tests.bench.{name}", *size, "--json", str(options.out / f"{name}.json")]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
