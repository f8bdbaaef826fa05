"""The swap: another version answers from one request to the next, without a restart and without a failed request."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from flows import approving, standing
from flows.house import House, open_house
from models.bundles import install, manifest, public_key
from models.change_plan import GoldenGate
from models.evaluation.measuring import golden_record
from models.phantoms import chest
from models.runtime import WEIGHTS
from models.spec import MANIFEST
from radloop.domain.enums import Standing
from radloop.domain.errors import IntegrityError, RadloopError, Rejected, Unavailable
from radloop.domain.records import ModelVersion
from radloop.ledger import models
from radloop.process import announced
from radloop.settings import load_settings
from radloop.store import Keyring
from serving.inference import shelf
from serving.inference.golden import FILE
from serving.inference.shelf import Shelf
from tests.flows.candidates import NAME, candidate, chest_plan, evaluated, person, shipped
from tests.serving.inference.bundle import write_tiny
from tests.serving.inference.house import ModelServer, install_tiny, make_home, model_server, start, stop, wait_ready

ASKERS = 4
MANY = 420


@pytest.fixture(autouse=True)
def plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approving, "read_plan", chest_plan)


@dataclass
class Site:
    """A home with a champion, and people."""

    house: House
    champion: ModelVersion

    def in_shadow(self, number: int) -> ModelVersion:
        made = candidate(self.house, number)
        evaluated(self.house, made, self.champion_now())
        shadowed = standing.shadow(self.house, made.digest, "ann", "w")
        standing.approve(self.house, made.digest, "ann")
        return shadowed

    def champion_now(self) -> str:
        with self.house.ledger.read() as conn:
            found = models.champion(conn, NAME)
        assert found is not None
        return found.digest

    def champions(self) -> int:
        with self.house.ledger.read() as conn:
            return sum(one.standing is Standing.CHAMPION for one in models.known(conn))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    home = make_home(tmp_path / "home")
    house = open_house(load_settings(home))
    house.ledger.upgrade()
    person(house, "ann", "ben")
    yield Site(house, shipped(house))
    house.ledger.close()


@dataclass
class Asker:
    """Asks for the ledger's champion, over and over, as triage does."""

    site: Site
    url: str
    reference: dict[str, str]
    over: threading.Event
    answered: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __call__(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60.0, trust_env=False) as http:
            while not self.over.is_set():
                question = {"model": NAME, "digest": self.site.champion_now(), "instances": [self.reference]}
                begun = time.monotonic()
                response = http.post("/infer", json=question)
                self.seconds.append(time.monotonic() - begun)
                if response.status_code != 200 or response.json()["digest"] != question["digest"]:
                    self.failures.append(response.text)
                self.answered.append(str(question["digest"]))


@pytest.mark.timeout(300)
def test_under_load_no_request_fails_and_answers_go_over_to_the_new_version_exactly_once(site: Site) -> None:
    made = site.in_shadow(1)
    with model_server(site.house.settings.home, site.champion.digest) as server:
        over = threading.Event()
        reference = server.keep(chest(1, opacity=True, rows=128))
        url = f"http://127.0.0.1:{server.announcement.port}"
        askers = [Asker(site, url, reference, over) for _ in range(ASKERS)]
        threads = [threading.Thread(target=asker) for asker in askers]
        for thread in threads:
            thread.start()
        time.sleep(2.0)
        standing.approve(site.house, made.digest, "ben")
        time.sleep(2.0)
        begun = time.monotonic()
        standing.rollback(site.house, NAME, "ann", "to see how long it takes", expected=made.digest)
        asked = [len(asker.answered) for asker in askers]
        while any(site.champion.digest not in a.answered[n + 1 :] for a, n in zip(askers, asked, strict=True)):
            assert time.monotonic() - begun < 10.0, "a rollback takes at most ten seconds, end to end"
            time.sleep(0.02)
        over.set()
        for thread in threads:
            thread.join(30)
    assert [failure for asker in askers for failure in asker.failures] == []
    for asker in askers:
        turns = [(a, b) for a, b in pairwise(asker.answered) if a != b]
        assert turns == [(site.champion.digest, made.digest), (made.digest, site.champion.digest)]
    assert max(max(asker.seconds) for asker in askers) < 5.0


@pytest.mark.timeout(300)
def test_hundreds_of_requests_side_by_side_are_all_answered(server: ModelServer) -> None:
    """BentoML's client to itself would close its session every hundred requests, under those still on their way."""
    reference = server.keep(chest(1, opacity=True, rows=64))
    with ThreadPoolExecutor(2 * ASKERS) as threads:
        said = list(threads.map(lambda _: server.post(reference).status_code, range(MANY)))
    assert said == [200] * MANY


@pytest.mark.timeout(300)
def test_a_version_with_one_bit_flipped_is_refused_and_the_champion_keeps_answering(site: Site) -> None:
    """Also where the champion's own bundle is damaged: what is loaded is not read again."""
    home = site.house.settings.home
    with model_server(home, site.champion.digest) as server:
        reference = server.keep(chest(1, opacity=True, rows=128))
        before = server.ask(reference)
        made = site.in_shadow(1)
        for version in (made, site.champion):
            flip(site.house.settings.models_path / NAME / version.digest / WEIGHTS)
        with pytest.raises(Rejected, match="cannot be trusted"):
            standing.approve(site.house, made.digest, "ben")
        wanted = [server.digest, made.digest, "0" * 64]
        response = server.http.post("/warm", json={"model": NAME, "digests": wanted})
        assert response.json() == {
            "ready": [server.digest],
            "refused": {made.digest: "integrity", "0" * 64: "unknown-digest"},
        }
        assert site.champion_now() == server.digest
        assert server.ask(reference).scores[0].probability == before.scores[0].probability


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.timeout(400)
def test_kill_9_of_inference_at_the_swap_leaves_one_champion_and_the_swap_is_done_again(site: Site) -> None:
    made = site.in_shadow(1)
    home = site.house.settings.home
    process = start(home)
    try:
        wait_ready(home, process)
        killer = threading.Timer(0.02, process.kill)
        killer.start()
        outcome = attempt(site, made)
        process.wait(10)
        killer.join(10)
        assert site.champions() == 1
        process = start(home)
        server = ModelServer(home, made.digest, wait_ready(home, process), process)
        if outcome is not None:
            assert isinstance(outcome, Unavailable)
            assert attempt(site, made) is None
        assert site.champion_now() == made.digest
        with server.http:
            assert server.ask(server.keep(chest(1, opacity=True, rows=128))).digest == made.digest
        assert announced(home, "inference") is not None
    finally:
        stop(process)


def attempt(site: Site, made: ModelVersion) -> RadloopError | None:
    try:
        standing.approve(site.house, made.digest, "ben")
    except RadloopError as error:
        return error
    return None


def test_what_nobody_wants_or_asks_for_is_put_away_and_comes_back_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(tmp_path / "home")
    settings = load_settings(home)
    old, new = install_tiny(home, "1.0.0", 1).name, install_tiny(home, "2.0.0", 2).name
    kept = Shelf(settings.models_path, public_key(Keyring.load(settings.keys_path).signing_key))
    first = kept.get(NAME, old)
    assert kept.keep(NAME, [new]).ready == (new,)
    assert kept.get(NAME, old) is first, "it was asked for a moment ago"
    monkeypatch.setattr(shelf, "IDLE_SECONDS", 0.0)
    kept.keep(NAME, [new])
    assert kept.get(NAME, old) is not first
    assert kept.keep("another_model", []).ready == ()
    assert kept.get(NAME, new) is kept.get(NAME, new)


def test_a_version_whose_golden_answer_is_another_than_its_bundle_says_is_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    settings = load_settings(home)
    key = Keyring.load(settings.keys_path).signing_key
    kept = Shelf(settings.models_path, public_key(key))
    source = write_tiny(tmp_path / "source")
    model = kept.get(NAME, install(source, settings.models_path, key).name)
    record = golden_record(model, GoldenGate(images=6, seed=1))
    for text, fine in ((record, True), (record.replace("0.", "0.1"), False), ("{}", False)):
        (source / FILE).parent.mkdir(exist_ok=True)
        (source / FILE).write_text(text)
        (source / MANIFEST).write_bytes(manifest(source))
        digest = install(source, settings.models_path, key).name
        if fine:
            assert kept.get(NAME, digest).spec.digest == digest
        else:
            with pytest.raises(IntegrityError, match="golden"):
                kept.get(NAME, digest)
