"""Is anything stuck, and what is to be done: one function says it, from one look at the whole house."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from flows import standstill, stuck
from flows.house import House
from flows.standstill import Disk, Process, Record, Seen
from flows.stuck import Trouble
from radloop import audit
from radloop.domain.enums import ObjectKind, Urgency
from radloop.domain.ids import utc_now
from radloop.domain.records import AuditEvent, Evidence
from radloop.ledger import Ledger, deliveries, objects, quarantine, studies
from radloop.ledger.stalled import Breaker, Stalled
from tests.flows import place
from tests.flows.fake_inference import FakeInference
from tests.flows.readings import answered
from tests.radloop.ledger import rows

NOW = utc_now()
SINCE = NOW - timedelta(hours=1)
GATEWAY = Process(name="gateway", state="READY", ready=True, essential=True)
WELL = Seen(
    at=NOW,
    record=Record(),
    processes=(GATEWAY,),
    away=(),
    disk=Disk(total=500 * stuck.GIGABYTE, free=300 * stuck.GIGABYTE),
)
Change = Callable[[Seen], Seen]


def recorded(**changes: object) -> Change:
    return lambda seen: replace(seen, record=replace(Record(), **changes))  # type: ignore[arg-type]


def process(name: str, state: str, failures: int = 0) -> Change:
    one = Process(name=name, state=state, ready=False, essential=True, failures=failures)
    return lambda seen: replace(seen, processes=(GATEWAY, one))


BREAKER = Breaker(peer="ris", failures=4, open_until=NOW, waiting=Stalled(6, SINCE))
TROUBLES: tuple[tuple[Change, str, str, int], ...] = (
    (lambda seen: replace(seen, record=None), "ledger cannot be read", "processes", 1),
    (process("inference", "RESTARTING", failures=3), "Inference died 3 times", "processes", 3),
    (process("gateway-2", "UNREADY"), "Gateway-2 cannot take work now", "processes", 1),
    (lambda seen: replace(seen, away=("mlflow",)), "MLflow does not answer", "processes", 1),
    (lambda seen: replace(seen, disk=Disk(total=10**12, free=10**9)), "The disk is low", "storage", 1),
    (recorded(unanswered=Stalled(2, SINCE)), "2 studies whole", "studies", 2),
    (recorded(receiving=Stalled(1, SINCE)), "1 study still open", "studies", 1),
    (recorded(abandoned=Stalled(1, SINCE)), "1 piece of work claimed", "studies", 1),
    (recorded(breakers=(BREAKER,)), "ris does not take deliveries", "peers", 6),
    (recorded(parked=Stalled(1, SINCE)), "1 delivery parked", "parked", 1),
    (recorded(overdue=Stalled(3, SINCE)), "3 deliveries due", "peers", 3),
    (recorded(set_aside=9, set_aside_usually=1.0), "Quarantine grows", "quarantine", 9),
    (recorded(unsealed=Stalled(12, SINCE)), "12 audit records not sealed", "processes", 12),
    (recorded(untold=Stalled(1, SINCE)), "1 notice of alarms", "notices", 1),
)


def test_where_all_is_well_it_says_so() -> None:
    assert stuck.troubles(WELL) == ()
    assert stuck.verdict(()) == stuck.FINE


@pytest.mark.parametrize(("change", "words", "place_", "count"), TROUBLES, ids=[words for _, words, _, _ in TROUBLES])
def test_each_trouble_is_said_with_a_count_and_what_to_do(change: Change, words: str, place_: str, count: int) -> None:
    (found,) = stuck.troubles(change(WELL))
    assert words in found.what
    assert (found.count, found.place) == (count, place_)
    assert found.do
    assert stuck.verdict((found,)) == f"{found.what}."


def test_every_rule_has_a_case_here() -> None:
    assert len(TROUBLES) >= len(stuck.RULES)


def test_a_house_that_is_down_is_one_trouble_and_not_one_for_each_server() -> None:
    down = Process(name="radloop", state="STOPPED", ready=False, essential=True)
    (found,) = stuck.troubles(replace(WELL, processes=(down,), away=("inference", "prefect", "mlflow")))
    assert found.what == "radloop is not running"


def test_a_process_that_begins_is_no_trouble_and_one_that_is_said_already_is_not_said_twice() -> None:
    assert stuck.troubles(process("runner", "STARTING")(WELL)) == ()
    dead = process("prefect", "RESTARTING", failures=1)(WELL)
    assert len(stuck.troubles(replace(dead, away=("prefect",)))) == 1


def test_some_rejected_files_are_no_growth_where_the_week_had_as_many() -> None:
    for aside, usually in ((2, 0.0), (9, 4.0)):
        assert stuck.troubles(recorded(set_aside=aside, set_aside_usually=usually)(WELL)) == ()


def test_with_several_the_first_is_named_and_all_are_counted() -> None:
    found = stuck.troubles(recorded(parked=Stalled(1, SINCE), unanswered=Stalled(2, SINCE))(WELL))
    assert stuck.verdict(found).startswith("2 things need a person. First: 2 studies")


def seen_in(house: House) -> tuple[Trouble, ...]:
    return stuck.troubles(standstill.look(house.settings, house.ledger, ()))


def whats(house: House) -> str:
    return " | ".join(one.what for one in seen_in(house))


def test_the_ledger_is_looked_at_for_what_does_not_move(house: House, inference: FakeInference) -> None:
    assert "study" not in whats(house)
    result = answered(house)
    (late,) = place.arrive(house, place.chest_study(9))
    assert late.version_id is not None
    long_ago = utc_now() - timedelta(hours=2)
    with house.ledger.write() as conn:
        assert studies.complete(conn, late.version_id, Evidence(), long_ago, 1)
        for kind, peer in ((ObjectKind.SR, "pacs"), (ObjectKind.ORU, "ris")):
            made = rows.stored(result.id, kind, f"2.25.{peer}")
            objects.add(conn, made)
            deliveries.queue(conn, made, result.version_id, peer, Urgency.ROUTINE)
        (sent,) = deliveries.claim(conn, "pacs", "gone", long_ago + timedelta(days=1), long_ago, 1)
        (refused,) = deliveries.claim(conn, "ris", "gone", utc_now(), utc_now(), 1)
        deliveries.park(conn, refused.id, "refused-by-peer: no")
        for _ in range(4):
            deliveries.peer_failed(conn, "ehr", 3, utc_now())
            quarantine.add(conn, "unparsable", "modality", None)
        old = AuditEvent(at=long_ago, actor="x", action="y", object_kind="z", object_id="1", detail="")
        audit.append(conn, old)
    said = whats(house)
    for words in ("1 study whole", "1 piece of work claimed", "ehr does not take", "1 delivery parked", "grows"):
        assert words in said
    assert "1 audit record not sealed" in said
    assert sent.id not in said
    assert "Prefect does not answer" in said


def test_a_ledger_that_is_away_is_said_first_and_the_rest_all_the_same(house: House) -> None:
    away = Ledger(f"sqlite:///{house.settings.home}/nowhere/ledger.db", busy_seconds=0.1)
    found = stuck.troubles(standstill.look(house.settings, away, ()))
    away.close()
    assert found[0].what == "The ledger cannot be read"
    assert any("Inference" in one.what for one in found)
