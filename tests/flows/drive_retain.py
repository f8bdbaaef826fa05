"""Retains, and is killed (SIGKILL) when it has deleted so many objects: `python -m tests.flows.drive_retain HOME N`.

With N = "end" it is killed inside the transaction that notes the first part as gone.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from flows import forgetting, retain
from flows.house import open_house
from radloop.settings import load_settings
from radloop.store import LocalStore


def die(*_: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(left: int) -> Any:
    delete, seen = LocalStore.delete, []

    def deleting(store: LocalStore, key: str) -> None:
        delete(store, key)
        seen.append(key)
        if len(seen) == left:
            die()

    return deleting


if __name__ == "__main__":
    home, when = Path(sys.argv[1]), sys.argv[2]
    if when == "end":
        forgetting.audit.append = die
    else:
        LocalStore.delete = deadly(int(when))  # type: ignore[method-assign]
    retain.retain(open_house(load_settings(home)), "ann")
