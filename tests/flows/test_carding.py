from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.carding import FORMATS, card_of
from flows.house import House
from models.bundles import SIGNATURE
from radloop.domain.errors import NotFound
from radloop.ledger import copies
from radloop.render.document import Document, Figure, Paragraph, to_html, to_markdown
from tests.flows import histories
from tests.flows.histories import Furnished, History


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    return histories.build(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def house(furnished: Furnished, tmp_path: Path) -> Iterator[House]:
    yield from histories.opened(furnished, tmp_path)


@pytest.fixture
def history(furnished: Furnished) -> History:
    return furnished.history


def figures(document: Document) -> list[Figure]:
    return [block for block in document.blocks if isinstance(block, Figure)]


def test_a_trained_versions_card_tells_the_record_and_draws_its_test_images(house: House, history: History) -> None:
    histories.answered(house, history.trained)
    card = card_of(house, "brain_mr_tumour@1.1.0")
    written = to_markdown(card)
    for part in (
        history.trained.digest,
        history.cohort.digest,
        histories.COMMIT,
        "24 images of 24 patients",
        "12 images (6 tumour 0, 6 tumour 1)",
        "20 BLINDED, 4 SAW_AI",
        "4 of 24 labels come from readers who had seen the AI",
        "0.012 (-0.021 to 0.044)",
        "dr.ada",
        "two approvals",
        "That of the first version.",
        f"The first version, {history.shipped.digest[:12]}, says:",
        "Not for grading",
        "Its own.",
        "Style is a confounder",
        "| study versions read | 1 |",
    ):
        assert part in written, part
    assert [figure.drawing.title.split(".")[0] for figure in figures(card)] == [
        "ROC curve",
        "Calibration",
        "AUC, 95 % interval (DeLong) by subgroup",
    ]
    assert "n = 12" in figures(card)[0].drawing.title
    assert "site north" in to_html(card)


def test_a_shipped_versions_card_says_that_it_has_no_run_no_gates_and_no_curves(house: House, history: History) -> None:
    written = to_markdown(card_of(house, "brain_mr_tumour@1.0.0"))
    assert "Shipped with radloop" in written
    assert "No evaluation is on record" in written
    assert "cannot be drawn: no evaluation is on record" in written
    assert "0.940 (0.885 to 0.979)" in written
    assert "Style is a confounder" in written


def test_test_images_that_were_deleted_are_said_instead_of_drawn(house: House, history: History) -> None:
    with house.ledger.write() as conn:
        copies.forget(conn, [member.copy_id for member in history.cohort.members])
    card = card_of(house, "brain_mr_tumour@1.1.0")
    assert figures(card) == []
    said = [block.text for block in card.blocks if isinstance(block, Paragraph)]
    assert any("are not there any more (12 of 12 training copies" in text for text in said)
    assert "| copies deleted since | 24 |" in to_markdown(card)


def test_an_unsigned_bundle_is_said_on_the_card_and_drawn_with_no_more(house: House, history: History) -> None:
    folder = house.settings.models_path / history.trained.name / history.trained.digest
    (folder / SIGNATURE).unlink()
    card = card_of(house, "brain_mr_tumour@1.1.0")
    written = to_markdown(card)
    assert "NOT valid" in written
    assert "nothing may be answered with it" in written
    assert figures(card) == []


def test_no_patient_and_no_reader_s_words_are_on_a_card(house: House, history: History) -> None:
    histories.read_by_people(house, histories.answered(house, history.trained))
    card = card_of(house, "brain_mr_tumour@1.1.0")
    for written in (to_markdown(card), to_html(card)):
        assert "secret" not in written.lower()


def test_every_format_writes_bytes_of_its_kind(house: House, history: History) -> None:
    pytest.importorskip("fpdf")
    card = card_of(house, "brain_mr_tumour@1.0.0")
    begins = {"md": b"# brain_mr_tumour", "html": b"<!doctype html>", "pdf": b"%PDF-1."}
    assert {name: write(card).startswith(begins[name]) for name, write in FORMATS.items()} == dict.fromkeys(
        begins, True
    )


def test_a_version_that_is_not_there_has_no_card(house: House, history: History) -> None:
    with pytest.raises(NotFound):
        card_of(house, "brain_mr_tumour@9.9.9")
