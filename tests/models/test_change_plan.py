import hashlib
from pathlib import Path

import pytest

from models.catalog import catalog
from models.change_plan import FILE, StopRule, read_plan
from radloop.domain.errors import NotFound, Unparsable

TEXT = (catalog()["cxr_pneumonia"].bundle.parent / FILE).read_text()


def written(folder: Path, before: str, after: str) -> Path:
    assert before in TEXT
    (folder / FILE).write_text(TEXT.replace(before, after, 1))
    return folder


@pytest.mark.parametrize("model", sorted(catalog()))
def test_every_model_of_the_zoo_has_a_plan_that_lets_only_what_is_learned_change(model: str) -> None:
    plan = read_plan(model)
    assert plan.plan.model == model
    assert set(plan.plan.may_change) == {"weights", "threshold", "calibration"}
    assert plan.approval.people >= 2
    assert plan.bootstrap.people >= 2
    assert plan.stop_rules


def test_the_plans_digest_is_of_the_files_bytes() -> None:
    file = catalog()["cxr_pneumonia"].bundle.parent / FILE
    assert read_plan("cxr_pneumonia").sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("model", ["nobody", "../zoo/cxr_pneumonia", "", "a.b"])
def test_a_model_that_is_not_in_the_zoo_has_no_plan(model: str) -> None:
    with pytest.raises(NotFound):
        read_plan(model)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("margin = 0.05", "margin = 1.5", "gates.auc.margin"),
        ("[gates.auc]", "[gates.auk]", "gates.auc"),
        ("draws = 4000", "draws = 4", "resampling.draws"),
        ("total = 0.05", "total = 0.5", "alpha.total"),
        ("floor = 0.0015", "floor = 0.03", "alpha: floor"),
        ("people = 2", "people = 0", "approval.people"),
        ('"threshold", "calibration"]', '"everything"]', "plan.may_change"),
        ('measure = "agreement"', 'measure = "mood"', "stop_rules.0.measure"),
        ("limit = 0.70", "limit = 70", "stop_rules.0"),
        ('model = "cxr_pneumonia"', 'model = "brain_mr_tumour"', "another model"),
        ("[alpha]", "[alpha", "not valid TOML"),
    ],
)
def test_a_plan_that_is_wrong_says_where(tmp_path: Path, before: str, after: str, words: str) -> None:
    with pytest.raises(Unparsable) as caught:
        read_plan("cxr_pneumonia", written(tmp_path, before, after))
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_stop_rule_knows_which_side_of_its_limit_is_wrong() -> None:
    agreement = StopRule(measure="agreement", limit=0.7, minimum=10, hours=24)
    latency = StopRule(measure="latency", limit=30, minimum=10, hours=24)
    assert (agreement.broken(0.69), agreement.broken(0.70)) == (True, False)
    assert (latency.broken(30.1), latency.broken(30.0)) == (True, False)
