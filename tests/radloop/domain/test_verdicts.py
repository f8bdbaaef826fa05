"""What a verdict says of the target."""

from dataclasses import replace
from datetime import timedelta

import pytest

from radloop.domain.enums import Awareness, VerdictKind, VerdictSource
from radloop.domain.records import Finding, Verdict
from radloop.domain.verdicts import is_override, last_words, reader_value
from tests.radloop.ledger.rows import NOW, finding

POSITIVE, NEGATIVE = finding(probability=0.9), finding(probability=0.1)
K = VerdictKind


def verdict(kind: VerdictKind = K.CONFIRM, **changes: object) -> Verdict:
    base = Verdict(
        id="ve_1", result_id="rs_1", version_id="sv_1", target="pneumonia", kind=kind, reader="dr.who", actor="dr.who",
        at=NOW, awareness=Awareness.BLINDED, source=VerdictSource.REST, source_id="1",
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "on", "there"),
    [
        (K.CONFIRM, POSITIVE, 1),
        (K.CONFIRM, NEGATIVE, 0),
        (K.CONFIRM, finding(probability=0.5), 1),
        (K.REJECT, POSITIVE, 0),
        (K.REJECT, NEGATIVE, 1),
        (K.MODIFY, POSITIVE, 1),
        (K.MODIFY, NEGATIVE, 1),
        (K.ADD, NEGATIVE, 1),
        (K.ADD, None, 1),
        (K.CONFIRM, None, None),
        (K.REJECT, None, None),
    ],
)
def test_the_reader_s_value_follows_from_kind_and_call(
    kind: VerdictKind, on: Finding | None, there: int | None
) -> None:
    assert reader_value(verdict(kind), on) == there


def test_a_verdict_about_no_target_of_the_model_says_nothing_of_one() -> None:
    assert reader_value(verdict(K.ADD, target=""), None) is None


def test_only_a_confirmation_agrees() -> None:
    assert {kind for kind in K if not is_override(verdict(kind))} == {K.CONFIRM}


def test_a_reader_s_last_word_on_a_target_counts_and_additions_all_stay() -> None:
    first = verdict(K.CONFIRM)
    changed = verdict(K.REJECT, id="ve_2", at=NOW + timedelta(minutes=1))
    other = verdict(K.CONFIRM, id="ve_3", reader="dr.no")
    added = [verdict(K.ADD, id=f"ve_{n}", target="") for n in (4, 5)]
    assert set(last_words([changed, first, other, *added])) == {changed, other, *added}
