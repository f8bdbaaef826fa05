"""The real runner process; every version of the test's model has the test's card."""

from flows import routing, runner
from tests.flows import versions

if __name__ == "__main__":
    routing.spec_of = versions.spec_of
    runner.main()
