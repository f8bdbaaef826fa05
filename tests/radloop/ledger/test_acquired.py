"""Pixel facts, embeddings, quality notes: kept once, read back as they were; what the migration makes of old rows."""

from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from radloop.domain.acquired import NoteOutcome, PixelFacts, QualityNote
from radloop.domain.records import Acquisition
from radloop.ledger import (
    Ledger,
    acquisitions,
    embeddings,
    instances,
    migrations,
    pixel_facts,
    quality_notes,
    results,
)
from radloop.ledger.instances import Receipt
from tests.radloop.ledger.rows import NOW, arrival, result

FACTS = PixelFacts(
    p1=0.01, p5=0.08, p25=0.4, p50=0.6, p75=0.7, p95=0.85, p99=0.9, clipped_low=0.01, clipped_high=0.001,
    entropy=7.25, noise=0.004, sharpness=0.25, border=0.0,
)  # fmt: skip
VECTOR = tuple(n / 8 for n in range(64))


def arrived(ledger: Ledger) -> Receipt:
    with ledger.write() as conn:
        return instances.record(conn, [arrival()])[0]


def note(receipt: Receipt, **changes: object) -> QualityNote:
    made = QualityNote(
        id="",
        version_id=receipt.version_id or "",
        result_id=None,
        instance_id=receipt.instance_id,
        check="motion_blur",
        outcome=NoteOutcome.WARN,
        detail="the image is blurred, as by motion",
        at=NOW,
    )
    made = replace(made, **changes)  # type: ignore[arg-type]
    return replace(made, id=quality_notes.note_id(made.version_id, made.result_id, made.instance_id, made.check))


def test_facts_of_an_image_are_those_of_whoever_looked_first(ledger: Ledger) -> None:
    one = arrived(ledger).instance_id or ""
    with ledger.write() as conn:
        pixel_facts.add(conn, [(one, FACTS)])
        pixel_facts.add(conn, [(one, replace(FACTS, p50=0.1))])
        pixel_facts.add(conn, [])
        assert pixel_facts.of_instances(conn, [one, "in_other"]) == {one: FACTS}


def test_an_embedding_reads_back_bit_for_bit(ledger: Ledger) -> None:
    receipt = arrived(ledger)
    made = result(receipt.version_id or "")
    with ledger.write() as conn:
        results.add(conn, made)
        embeddings.add(conn, made, [(receipt.instance_id or "", VECTOR)])
        assert embeddings.of_result(conn, made.id) == {receipt.instance_id: VECTOR}
    assert len(embeddings.packed(VECTOR)) == 256
    with pytest.raises(ValueError, match="64"):
        embeddings.packed(VECTOR[:-1])


def test_a_note_is_kept_once_and_found_by_version_and_result(ledger: Ledger) -> None:
    receipt = arrived(ledger)
    made = result(receipt.version_id or "")
    loose, of_result = note(receipt), note(receipt, result_id=made.id)
    with ledger.write() as conn:
        results.add(conn, made)
        assert quality_notes.add(conn, [loose, of_result]) == 2
        assert quality_notes.add(conn, [loose, of_result]) == 0
        assert set(quality_notes.of_version(conn, made.version_id)) == {loose, of_result}
        assert quality_notes.of_result(conn, made.id) == (of_result,)
        assert set(quality_notes.of_versions(conn, [made.version_id])[made.version_id]) == {loose, of_result}


def test_how_an_image_was_made_reads_back(ledger: Ledger) -> None:
    receipt = arrived(ledger)
    row = Acquisition(
        instance_id=receipt.instance_id or "",
        version_id=receipt.version_id or "",
        modality="MR",
        site="pacs",
        sequence="SE",
        exposure_time=12.5,
        repetition_time=4000.0,
        echo_time=90.0,
        flip_angle=150.0,
        field_strength=3.0,
    )
    with ledger.write() as conn:
        acquisitions.add(conn, [row])
        assert acquisitions.of_instances(conn, [row.instance_id]) == (row,)


def test_rows_of_before_get_the_site_of_their_instance(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'old.db'}")
    _migrate(ledger, "0004")
    receipt = arrived(ledger)
    with ledger.write() as conn:
        columns = "instance_id, version_id, at, modality, " + ", ".join(OLD_TEXTS) + ", missing_tags"
        values = "'" + "', '".join([receipt.instance_id or "", receipt.version_id or "", "2026-01-01", "CR"]) + "'"
        empty = ", ''" * len(OLD_TEXTS)
        conn.execute(text(f"INSERT INTO acquisitions ({columns}) VALUES ({values}{empty}, '[]')"))
    ledger.upgrade()
    with ledger.read() as conn:
        (row,) = acquisitions.of_instances(conn, [receipt.instance_id or ""])
    assert (row.site, row.sequence, row.echo_time) == (arrival().peer, "", None)
    ledger.close()


OLD_TEXTS = (
    "body_part", "view", "description", "manufacturer", "model_name", "station", "software", "protocol", "photometric",
    "kernel", "transfer_syntax",
)  # fmt: skip


def _migrate(ledger: Ledger, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with ledger.engine.connect() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
