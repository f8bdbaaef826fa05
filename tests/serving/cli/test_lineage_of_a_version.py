import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from flows.house import House
from radloop.domain.records import Result
from radloop.ledger.tables import findings
from serving.cli.desk import Desk
from serving.cli.exits import Exit
from serving.cli.setup import prepare
from tests.flows import histories
from tests.flows.histories import Furnished
from tests.serving.cli.conftest import cli


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    return histories.build(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def house(furnished: Furnished, tmp_path: Path) -> Iterator[House]:
    yield from histories.opened(furnished, tmp_path)


@pytest.fixture
def versed(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The furnished home, with its actors."""
    monkeypatch.delenv("RADLOOP_TOKEN", raising=False)
    desk = Desk(house.settings.home)
    prepare(desk, bare=True)
    yield desk
    desk.ledger.close()


@pytest.fixture
def result(house: House, furnished: Furnished) -> Result:
    return histories.answered(house, furnished.history.trained)


def test_touched_lists_studies_by_our_ids_and_by_theirs_only_where_asked(versed: Desk, result: Result) -> None:
    told = json.loads(cli(versed, "touched", "brain_mr_tumour@1.1.0", "--json").stdout)
    assert [(row["result"], row["study_version"], row["standing"]) for row in told["read"]] == [
        (result.id, result.version_id, "CHAMPION")
    ]
    assert "study_uid" not in told["read"][0]
    assert len(told["patients"]) == len(told["learned_from"][0]["copies"]) == 24
    named = json.loads(cli(versed, "touched", "brain_mr_tumour@1.1.0", "--json", "--identifiers").stdout)
    uid = named["read"][0]["study_uid"]
    printed = cli(versed, "touched", "brain_mr_tumour@1.1.0").stdout
    assert uid not in printed
    assert "and 12 more" in printed
    assert uid in cli(versed, "touched", "brain_mr_tumour@1.1.0", "--identifiers").stdout


def test_replay_ends_with_1_where_the_answer_differs(versed: Desk, house: House, result: Result) -> None:
    told = cli(versed, "replay", result.id, "--json")
    row = json.loads(told.stdout)["results"][0]
    assert told.exit_code == Exit.FAILED  # 0.9 on record was made up
    assert row["same"] is False
    now = row["findings"][0]["after"]
    with house.ledger.write() as conn:
        conn.execute(update(findings).values(probability=round(now, 4)))
    again = cli(versed, "replay", result.version_id)
    assert again.exit_code == Exit.OK
    assert "yes" in again.stdout


def test_a_card_is_written_to_a_file_or_the_terminal(versed: Desk, tmp_path: Path) -> None:
    page = tmp_path / "card.html"
    done = cli(versed, "card", "brain_mr_tumour@1.1.0", "--format", "html", "-o", str(page))
    assert done.exit_code == Exit.OK
    assert done.stdout == ""
    assert page.read_text().count("<svg") == 3
    assert cli(versed, "card", "brain_mr_tumour@1.0.0").stdout.startswith("# brain_mr_tumour 1.0.0")
