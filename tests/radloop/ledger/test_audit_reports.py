from dataclasses import replace
from datetime import timedelta

import pytest

from radloop.domain.errors import IntegrityError, NotFound
from radloop.domain.records import Blob
from radloop.ledger import Ledger, audit_reports, blobs
from radloop.ledger.audit_reports import AuditReport, digest_of
from tests.radloop.ledger.rows import NOW

FILES = {"data.json": Blob("k1", "1" * 64, 10), "report.pdf": Blob("k2", "2" * 64, 20)}


def report(name: str = "ar_1", **changes: object) -> AuditReport:
    manifest = f'{{"id":"{name}"}}'
    facts = {
        "id": name, "digest": digest_of(manifest), "model": "", "start": NOW - timedelta(days=90), "end": NOW,
        "manifest": manifest, "signature": bytes(64), "actor": "audit", "at": NOW, "files": FILES, **changes,
    }  # fmt: skip
    return AuditReport(**facts)  # type: ignore[arg-type]


def test_a_report_comes_back_as_it_was_kept_and_the_newest_is_first(ledger: Ledger) -> None:
    first, second = report(), report("ar_2", at=NOW + timedelta(days=1), files={})
    second = replace(second, files={"report.pdf": Blob("k3", "3" * 64, 30)})
    with ledger.write() as conn:
        audit_reports.add(conn, first)
        audit_reports.add(conn, second)
    with ledger.read() as conn:
        assert audit_reports.get(conn, "ar_1") == first
        assert audit_reports.known(conn) == (second, first)
        assert audit_reports.known(conn, 1) == (second,)
        with pytest.raises(NotFound):
            audit_reports.get(conn, "ar_3")


def test_the_report_that_reaches_furthest_is_found_by_model_and_actor(ledger: Ledger) -> None:
    with ledger.write() as conn:
        audit_reports.add(conn, report())
        audit_reports.add(conn, report("ar_2", end=NOW + timedelta(days=90)))
        audit_reports.add(conn, report("ar_3", end=NOW + timedelta(days=900), actor="ann"))
    with ledger.read() as conn:
        found = audit_reports.newest(conn, "", "audit")
        assert found is not None
        assert found.id == "ar_2"
        assert audit_reports.newest(conn, "cxr", "audit") is None


def test_a_manifest_of_another_digest_is_refused(ledger: Ledger) -> None:
    with ledger.write() as conn, pytest.raises(IntegrityError):
        audit_reports.add(conn, report(digest="d" * 64))


def test_the_files_of_a_report_are_no_orphans_of_the_store(ledger: Ledger) -> None:
    with ledger.write() as conn:
        audit_reports.add(conn, report())
        assert blobs.referenced(conn, ["k1", "k2", "k9"]) == {"k1", "k2"}
