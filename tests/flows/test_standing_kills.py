"""kill -9 in the middle of promotions and rollbacks: one champion at every instant, and the record agrees with it."""

import random
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import func, select

from flows.house import House
from radloop.domain.enums import Standing
from radloop.ledger import models, standing
from radloop.ledger.tables import audit_events
from tests.clock import until
from tests.flows import cards
from tests.flows.runners import ROOT, kill
from tests.flows.versions import NEXT, add_next

KILLS = 6


@pytest.mark.timeout(180)
def test_there_is_one_champion_at_every_instant_whoever_is_killed_and_each_restart_goes_on(house: House) -> None:
    add_next(house)
    over, seen = threading.Event(), set()

    def watch() -> None:
        while not over.is_set():
            with house.ledger.read() as conn:
                known = models.known(conn)
            seen.add(tuple(one.standing for one in known if one.standing is Standing.CHAMPION))
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    rng, steps = random.Random(7), 0
    try:
        for _ in range(KILLS):
            steps = go_and_kill(house, steps, rng.uniform(0.0, 0.2))
    finally:
        over.set()
        watcher.join(10)
    assert seen == {("CHAMPION",)}


def go_and_kill(house: House, steps: int, seconds: float) -> int:
    """Let it run until it has gone on, kill it, and hold standings against the record; how many steps that has now."""
    argv = [sys.executable, "-m", "tests.flows.drive_standing", str(house.settings.home), cards.DIGEST, NEXT]
    process = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        until(lambda: count(house) > steps + 3, 30)
        time.sleep(seconds)
    finally:
        kill(process)
    with house.ledger.read() as conn:
        history = standing.history(conn, cards.NAME)
        stands = {one.digest: one.standing for one in models.known(conn)}
        audited = conn.scalar(
            select(func.count()).select_from(audit_events).where(audit_events.c.object_kind == "model")
        )
    last = {step.digest: step.after for step in history}
    assert last == {digest: stands[digest] for digest in last}
    assert audited == len(history)
    return len(history)


def count(house: House) -> int:
    with house.ledger.read() as conn:
        return len(standing.history(conn, cards.NAME))
