"""`python -m serving.supervisor --home H`: the house in the foreground, until SIGTERM."""

import argparse
import os
import signal
import sys
from pathlib import Path

from radloop.domain.errors import RadloopError
from radloop.process import die_with_parent
from serving.supervisor.guardian import guard


def main() -> int:
    """Guard first, read the settings in the child: the guardian stays small."""
    parser = argparse.ArgumentParser(prog="python -m serving.supervisor")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--tied", action="store_true", help="stop when the process that started it ends")
    given = parser.parse_args()
    home = given.home.absolute()
    if given.tied:
        die_with_parent(signal.SIGTERM)
    os.umask(0o077)  # databases and logs hold what is nobody else's
    try:
        return guard(home, lambda: supervise(home))
    except RadloopError as error:
        print(f"radloop: {error}", file=sys.stderr)  # noqa: T201 - the last word of a process, into its log
        return 1


def supervise(home: Path) -> None:
    """Keep the processes of this home up until told to stop."""
    # pydantic and what follows it belong into the child only.
    from radloop import logs  # noqa: PLC0415
    from radloop.settings import child_environment, load_settings  # noqa: PLC0415
    from serving.supervisor.keeper import Keeper  # noqa: PLC0415
    from serving.supervisor.table import choose_ports, rows, shared_environment  # noqa: PLC0415

    logs.configure("supervisor")
    settings = load_settings(home)
    ports = choose_ports(settings)
    Keeper(home, rows(settings, ports), child_environment(shared_environment(settings, ports))).run()


if __name__ == "__main__":
    sys.exit(main())
