"""A ledger as a busy site has it: open studies with answers, and signed ones behind them. No pixels, no people."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import insert

from radloop.domain.enums import Qualification, ResultStatus, Standing, StudyState, Urgency
from radloop.domain.ids import new_id, utc_now
from radloop.ledger import Ledger
from radloop.ledger.admitted import study_headers
from radloop.ledger.tables import findings, results, studies, study_versions

AT_ONCE: Final = 2000
TARGETS: Final = ("pneumonia", "pleural_effusion", "atelectasis", "cardiomegaly", "nodule", "pneumothorax")
MODALITIES: Final = (["CR"], ["DX"], ["CT"], ["MR"])
STATES: Final = (*([StudyState.ANSWERED] * 7), StudyState.RECEIVING, StudyState.COMPLETE, StudyState.READING)


def fill(ledger: Ledger, opened: int, signed: int) -> None:
    """Put studies in; of the open ones seven of ten are answered, one of fifty is critical, one of ten urgent."""
    for first in range(0, opened + signed, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, opened + signed))
        rows = [_study(number, is_open=number < opened) for number in numbers]
        with ledger.write() as conn:
            for table, key in ((studies, "study"), (study_versions, "version"), (study_headers, "header")):
                conn.execute(insert(table), [row[key] for row in rows])
            conn.execute(insert(results), [row["result"] for row in rows if row["result"]])
            conn.execute(insert(findings), [one for row in rows if row["result"] for one in _findings(row)])


def _study(number: int, *, is_open: bool) -> dict[str, Any]:
    study, version = new_id("st"), new_id("sv")
    at = utc_now() - timedelta(seconds=number * 7)
    state = STATES[number % 10] if is_open else StudyState.SIGNED
    answered = state in (StudyState.ANSWERED, StudyState.SIGNED)
    urgency = _urgency(number) if answered else Urgency.ROUTINE
    return {
        "urgency": urgency,
        "study": {
            "id": study,
            "study_uid": f"1.2.826.{number}",
            "patient_id": f"P{number // 2}",
            "issuer": "",
            "accession_number": f"A{number}",
        },
        "version": {
            "id": version,
            "study_id": study,
            "number": 1,
            "state": state,
            "urgency": urgency,
            "priority_rank": int(number % 31 == 0),
            "peer": "pacs",
            "instances": 1,
            "modalities": MODALITIES[number % 4],
            "received_at": at,
            "completed_at": None if state is StudyState.RECEIVING else at,
            "answered_at": at if answered else None,
            "attempts": 1,
        },
        "header": {
            "study_id": study,
            "patient_name": f"Family{number % 977}, Given{number % 89}",
            "birth_date": f"19{number % 90 + 10}0203",
            "sex": "MF"[number % 2],
            "study_date": "20260301",
            "description": "Chest PA and lateral",
        },
        "result": _result(number, version, at) if answered else None,
    }


def _urgency(number: int) -> Urgency:
    return Urgency.CRITICAL if number % 50 == 0 else Urgency.URGENT if number % 10 == 0 else Urgency.ROUTINE


def _result(number: int, version: str, at: Any) -> dict[str, Any]:
    return {
        "id": new_id("rs"),
        "version_id": version,
        "model": "cxr_pneumonia" if number % 3 else "cxr_nodule",
        "model_version": "1.0.0",
        "digest": "d" * 64,
        "standing": Standing.CHAMPION,
        "qualification": Qualification.RESEARCH,
        "status": ResultStatus.OK,
        "at": at,
    }


def _findings(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for ordinal, target in enumerate(TARGETS):
        high = ordinal == 0 and row["urgency"] is not Urgency.ROUTINE
        yield {
            "result_id": row["result"]["id"],
            "ordinal": ordinal,
            "target": target,
            "code": {"value": "233604007", "scheme": "SCT", "meaning": target.replace("_", " ").capitalize()},
            "probability": 0.97 if high else 0.1 * (ordinal + 1),
            "threshold": 0.5,
            "urgency": row["urgency"] if high else Urgency.ROUTINE,
        }
