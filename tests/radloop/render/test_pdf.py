import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from radloop.render.document import Bullets, Document, Figure, Heading, Paragraph, Table
from radloop.render.figures import Bin, Row, forest, reliability, roc
from tests.peers.programs import need

pytest.importorskip("fpdf")
from radloop.render.pdf import to_pdf

DOCUMENT = Document(
    "model 1.0: a card",
    (
        Paragraph("**RESEARCH.** It advises; a radiologist reads every image."),
        Table(("what", "value"), (("digest", "0123456789abcdef" * 4), ("AUC", "0.9"))),
        Bullets(("one limit", "another")),
        Heading("Figures"),
        Figure(roc(np.array([[0.0, 0.0], [0.2, 0.9], [1.0, 1.0]]), "AUC 0.85", (0.2, 0.9)), "The curve."),
        Figure(reliability([Bin(0.2, 0.3, 0.1, 0.5, 9)], "n = 9"), "Calibration."),
        Figure(forest([Row("sex F", 0.8, 0.7, 0.9, "n 40")], "AUC", 0.8), "Subgroups."),
    ),
    datetime(2026, 3, 1, tzinfo=UTC),
)


def words(pdf: bytes, folder: Path) -> str:
    (folder / "card.pdf").write_bytes(pdf)
    told = subprocess.run(
        [need("pdftotext", "poppler-utils"), "-layout", folder / "card.pdf", "-"],
        check=True,
        capture_output=True,
        timeout=20,
    )
    assert told.stderr == b""
    return told.stdout.decode()


def test_every_word_of_the_document_can_be_read_from_the_pdf(tmp_path: Path) -> None:
    said = " ".join(words(to_pdf(DOCUMENT), tmp_path).split())
    for part in (
        "model 1.0: a card",
        "RESEARCH.",
        "0123456789abcdef" * 4,
        "another",
        "AUC 0.85",
        "sex F",
        "Subgroups.",
    ):
        assert part in said
    assert "**" not in said


def test_the_same_document_makes_the_same_bytes() -> None:
    assert to_pdf(DOCUMENT) == to_pdf(DOCUMENT)
    assert to_pdf(DOCUMENT) != to_pdf(replace(DOCUMENT, title="another"))


def test_letters_that_the_font_lacks_do_not_stop_a_card(tmp_path: Path) -> None:
    document = replace(DOCUMENT, blocks=(Paragraph("Łukasz \u2013 “quoted” ≥ 5 naïve Ğül 漢字 (λ)"),))
    said = words(to_pdf(document), tmp_path)
    assert 'ukasz - "quoted" >= 5 naïve Gül ?? (?)' in said


def test_only_bold_is_a_mark_and_everything_else_is_printed_as_it_is(tmp_path: Path) -> None:
    text = "a__b__c --model-- [x](y) ~~z~~ {nb} \\\\ end"
    blocks = (Paragraph(f"{text} **bold**"), Table(("", ""), ((text, ""),)))
    said = words(to_pdf(replace(DOCUMENT, blocks=blocks)), tmp_path)
    assert said.count(text) == 2
    assert "bold" in said
    assert "**" not in said


def test_a_long_document_goes_on_over_pages_with_numbers(tmp_path: Path) -> None:
    said = words(to_pdf(replace(DOCUMENT, blocks=(Paragraph("word " * 4000),))), tmp_path)
    assert said.count("word") == 4000
    assert "page 3" in said
