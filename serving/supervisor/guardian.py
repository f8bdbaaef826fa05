"""Two processes stand over the house, so that kill -9 of either leaves nothing behind.

guardian     subreaper; holds the lock; when the supervisor ends, it ends everything below itself
  supervisor   subreaper; runs the keeper; stops gently when the guardian dies (PR_SET_PDEATHSIG SIGTERM)
    gateway, runner, ...   SIGKILL when the supervisor dies; their orphans fall to the supervisor or the guardian
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from radloop.domain.errors import RadloopError, Unavailable
from radloop.process import die_with_parent
from serving.supervisor import family
from serving.supervisor.board import run_folder, sign_lock, take_lock

LEFTOVER_SECONDS: Final = 10.0
FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def guard(home: Path, supervise: Callable[[], None]) -> int:
    """Run `supervise` in a child of this process and clean up after it; the exit code.

    Raises:
        Unavailable: another supervisor runs for this home, or what it left cannot be ended.
    """
    lock = take_lock(home)
    if not family.end_marked(family.mark_of(home), LEFTOVER_SECONDS):
        raise Unavailable("processes of an earlier run could not be ended")
    _clear(home)
    family.become_subreaper()
    supervisor = os.fork()
    if supervisor == 0:
        _supervise(supervise)
    sign_lock(lock, supervisor)
    code = _wait_for(supervisor)
    family.end_descendants(LEFTOVER_SECONDS)
    _clear(home)
    os.close(lock)
    return code


def _supervise(supervise: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        die_with_parent(signal.SIGTERM)
        family.become_subreaper()
        supervise()
        code = 0
    except RadloopError as error:
        print(f"radloop: {error}", file=sys.stderr)  # noqa: T201 - the last word of a process, into its log
    except Exception:  # noqa: BLE001 - we leave by _exit, which would lose it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wait_for(supervisor: int) -> int:
    for number in FORWARDED:
        signal.signal(number, lambda *_: _forward(supervisor))
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == supervisor:
            return max(os.waitstatus_to_exitcode(status), 0) if os.WIFEXITED(status) else 1


def _forward(supervisor: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(supervisor, signal.SIGTERM)


def _clear(home: Path) -> None:
    for path in run_folder(home).glob("*.json"):
        path.unlink(missing_ok=True)
