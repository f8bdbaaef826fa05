"""The real runner process, reading with the test's card instead of the zoo's weights."""

from flows import routing, runner
from tests.flows import cards

if __name__ == "__main__":
    routing.catalog = lambda: cards.CATALOG
    runner.main()
