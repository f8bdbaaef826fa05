"""MLflow shows what the ledger says: an alias that a hand moved is put back, and promotes nothing."""

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from flows import policies, registry
from flows.house import House
from flows.policies import Backoff
from flows.registry import named_by_mlflow, wanted_aliases
from radloop.domain.errors import Unavailable
from radloop.domain.records import ModelVersion
from radloop.ledger import models, standing
from radloop.ledger.standing import Act
from tests.flows import place
from tests.flows.candidates import NAME, candidate, shipped
from tests.peers.mlflow import mlflow_server

ACT = Act("ann", "for the test")
MEND_SECONDS = 90.0


def known(house: House) -> tuple[ModelVersion, ...]:
    with house.ledger.read() as conn:
        return tuple(one for one in models.known(conn) if one.name == NAME)


def by_hand(url: str, alias: str, version: str) -> None:
    body = {"name": NAME, "alias": alias, "version": version}
    httpx.post(f"{url}/api/2.0/mlflow/registered-models/alias", json=body, trust_env=False).raise_for_status()


def named(house: House) -> dict[str, str]:
    """What MLflow's aliases name, by alias; nothing where it is too busy to say."""
    try:
        return {alias: digest for (_, alias), digest in named_by_mlflow(house.settings, {NAME}).items()}
    except Unavailable:
        return {}


async def until(fine: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not await asyncio.to_thread(fine):
        assert time.monotonic() - begun < MEND_SECONDS
        await asyncio.sleep(0.5)  # the server has one worker, and the one that mends asks it too


@pytest.mark.campaign
@pytest.mark.timeout(500)
def test_aliases_follow_the_ledger_and_one_that_was_moved_by_hand_is_put_back_and_promotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "REGISTRY", Backoff(0.5, 0.5))
    house = place.make_home(tmp_path / "home")
    first, second = shipped(house), candidate(house, 1)

    async def story(url: str) -> None:
        following = asyncio.create_task(registry.follow(house.settings))
        try:
            await until(lambda: named(house) == {"champion": first.digest})
            before = known(house)
            for _ in range(2):
                by_hand(url, "champion", "2")
                assert named(house) == {"champion": second.digest}
                await until(lambda: named(house) == {"champion": first.digest})
            by_hand(url, "previous", "2")
            await until(lambda: named(house) == {"champion": first.digest})
            assert known(house) == before
            with house.ledger.write() as conn:
                standing.shadow(conn, second.digest, ACT)
            await until(lambda: named(house) == {"champion": first.digest, "shadow": second.digest})
            with house.ledger.write() as conn:
                standing.promote(conn, second.digest, ACT, expected=first.digest)
            await until(lambda: named(house) == {"champion": second.digest, "previous": first.digest})
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    with mlflow_server(house.settings) as url:
        asyncio.run(story(url))
    house.ledger.close()


def test_mlflow_that_is_away_is_transient(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable):
        named_by_mlflow(house.settings, {NAME})
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setattr(registry, "_mlflow", lambda _: f"http://127.0.0.1:{port}")
        with pytest.raises(Unavailable):
            named_by_mlflow(house.settings, {NAME})


def test_an_alias_is_wanted_for_each_that_answers_is_asked_silently_or_would_answer_again(house: House) -> None:
    first, second = shipped(house), candidate(house, 1)
    assert wanted_aliases(known(house)) == {(NAME, "champion"): first.digest}
    with house.ledger.write() as conn:
        standing.shadow(conn, second.digest, ACT)
        standing.promote(conn, second.digest, ACT, expected=first.digest)
    assert wanted_aliases(known(house)) == {(NAME, "champion"): second.digest, (NAME, "previous"): first.digest}
