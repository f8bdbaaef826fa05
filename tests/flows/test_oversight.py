"""What the runner does beside the studies: it rolls back by itself, and tells inference who is to be kept ready."""

import asyncio
import time
from collections.abc import Callable

import pytest

from flows import stop_rules
from flows.house import House
from flows.oversight import Oversight
from radloop.domain.enums import Qualification
from radloop.ledger import models
from tests.flows import cards, place
from tests.flows.fake_inference import FakeInference
from tests.flows.test_stop_rules import AGREEMENT, NO, champion, judge
from tests.flows.test_triage import newest, read_all, results_of
from tests.flows.versions import NEXT, promote_next


def watch_until(house: House, fine: Callable[[], bool]) -> float:
    """Let the oversight go round until `fine`; seconds that took."""

    async def run() -> float:
        watching = asyncio.create_task(Oversight(house, busy=lambda: False).watch())
        begun = time.monotonic()
        try:
            while not await asyncio.to_thread(fine):
                assert not watching.done()
                assert time.monotonic() - begun < 30.0
                await asyncio.sleep(0.05)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return time.monotonic() - begun

    return asyncio.run(run())


def test_a_champion_that_readers_reject_is_gone_within_ten_seconds(
    house: House, inference: FakeInference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_rules, "rules_of", lambda _: (AGREEMENT,))
    promote_next(house)
    judge(house, [NO] * 25)
    assert watch_until(house, lambda: champion(house).digest == cards.DIGEST) < 10.0


def test_champion_and_previous_are_kept_ready_and_neither_a_refusal_nor_an_outage_ends_the_watch(
    house: House, inference: FakeInference
) -> None:
    promote_next(house)
    inference.refuses = {cards.DIGEST: "integrity"}
    watch_until(house, lambda: len(inference.warmed) >= 2)
    assert inference.warmed == [NEXT, cards.DIGEST]
    inference.status = 500
    asked = len(inference.questions)
    watch_until(house, lambda: inference.outages >= 2)
    assert len(inference.questions) == asked


def test_what_a_product_says_is_called_so(house: House, inference: FakeInference) -> None:
    place.arrive(house, place.chest_study(1))
    read_all(house)
    before = results_of(house, newest(house))
    with house.ledger.write() as conn:
        assert models.qualify(conn, cards.DIGEST, Qualification.RESEARCH, Qualification.PRODUCT)
    place.arrive(house, place.chest_study(2))
    read_all(house)
    after = results_of(house, newest(house))
    assert [one.model.qualification for one in (*before, *after)] == [Qualification.RESEARCH, Qualification.PRODUCT]
