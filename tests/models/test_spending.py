import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.change_plan import AlphaBudget
from models.evaluation.spending import alpha_of, looks_left

BUDGETS = st.builds(
    lambda total, part: AlphaBudget(total=total, floor=total * part, shared=0.5),
    st.floats(1e-4, 0.05),
    st.floats(1e-6, 0.5),
)


@given(BUDGETS, st.integers(1, 200))
def test_any_number_of_looks_together_spend_less_than_the_budget(budget: AlphaBudget, looks: int) -> None:
    assert sum(alpha_of(look, budget) or 0.0 for look in range(1, looks + 1)) < budget.total


@given(BUDGETS)
def test_the_first_look_is_always_there_and_once_it_is_spent_it_stays_spent(budget: AlphaBudget) -> None:
    left = looks_left(0, budget)
    assert left >= 1
    assert alpha_of(left, budget) is not None
    assert all(alpha_of(look, budget) is None for look in range(left + 1, left + 20))
    assert looks_left(left, budget) == 0


def test_the_first_look_of_the_usual_budget_has_a_95_percent_interval_and_the_sixth_is_refused() -> None:
    budget = AlphaBudget(total=0.05, floor=0.0015, shared=0.5)
    assert alpha_of(1, budget) == pytest.approx(0.025)
    assert alpha_of(5, budget) == pytest.approx(0.0015625)
    assert alpha_of(6, budget) is None


def test_looks_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        alpha_of(0, AlphaBudget(total=0.05, floor=0.001, shared=0.5))
