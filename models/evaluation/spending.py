"""How much error a look at a test set may spend.

A set that is looked at again and again lets a worse version slip through in the end: every look is one more chance
(Feng, Emerson and Simon 2021, Biometrics 77:31, PMC7946712, who spend an error budget over looks). Here look k spends
total / 2^k, so that any number of looks together spend less than the total (a union bound; Bonferroni, with weights).
"""

from models.change_plan import AlphaBudget


def alpha_of(look: int, budget: AlphaBudget) -> float | None:
    """One-sided alpha of the `look`-th look, from 1; None where it is spent: below the budget's floor.

    Raises:
        ValueError: looks are counted from 1.
    """
    if look < 1:
        raise ValueError("looks are counted from 1")
    share = float(budget.total * 0.5**look)
    return share if share >= budget.floor else None


def looks_left(taken: int, budget: AlphaBudget) -> int:
    """How many more looks the budget bears."""
    left = 0
    while alpha_of(taken + left + 1, budget) is not None:
        left += 1
    return left
