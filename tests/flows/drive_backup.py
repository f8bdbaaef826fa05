"""Backs up, and is killed (SIGKILL) somewhere: `python -m tests.flows.drive_backup HOME FOLDER KEYS WHERE`.

WHERE: a number (so many objects were copied), or the name of a step that it does not live to end.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from flows import backup
from flows.backup_format import BlobEntry
from flows.backup_pool import Pool
from flows.house import open_house
from radloop.settings import load_settings


def die(*_: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(left: int) -> Any:
    copy = Pool._copy

    def copying(pool: Pool, key: str) -> BlobEntry:
        entry = copy(pool, key)
        if pool.copied == left:
            die()
        return entry

    return copying


STEPS = {
    "ledger": (backup, "seal_file"),
    "sign": (backup, "_sign"),
    "keys": (backup.keycopy, "copy_keys"),
    "current": (backup, "replace_file"),
    "tidy": (backup, "_tidy"),
    "note": (backup, "_note"),
}

if __name__ == "__main__":
    home, folder, keys, where = (*(Path(one) for one in sys.argv[1:4]), sys.argv[4])
    if where in STEPS:
        setattr(*STEPS[where], die)
    else:
        Pool._copy = deadly(int(where))  # type: ignore[method-assign]
    backup.back_up(open_house(load_settings(home)), folder, keys, "ann")
