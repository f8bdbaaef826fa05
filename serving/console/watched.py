"""Alarms and outcomes of the data checks, counted from the ledger when somebody asks: no scanner, no patient."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from radloop.domain.watching import AlarmState
from radloop.ledger import alarms, checks


class Watched(Collector):
    """What one scrape sees of the watch."""

    def __init__(self, conn: Connection) -> None:
        self._alarms = alarms.counts(conn)
        self._outcomes = checks.counts(conn)

    def collect(self) -> Iterable[Metric]:
        """`radloop_alarms` by state, suite and model; `radloop_check_outcomes_total` by suite and outcome."""
        standing = GaugeMetricFamily(
            "radloop_alarms", "Alarms that are not closed.", labels=("state", "suite", "model")
        )
        for (state, suite, model), count in sorted(self._alarms.items()):
            if state != AlarmState.CLOSED:
                standing.add_metric((state, suite, model or "all"), count)
        yield standing
        outcomes = CounterMetricFamily(
            "radloop_check_outcomes", "Outcomes of data checks over windows.", labels=("suite", "outcome")
        )
        for (suite, outcome), count in sorted(self._outcomes.items()):
            outcomes.add_metric((suite, outcome), count)
        yield outcomes


def registry_of(conn: Connection) -> CollectorRegistry:
    """A registry for one scrape."""
    made = CollectorRegistry()
    made.register(Watched(conn))
    return made
