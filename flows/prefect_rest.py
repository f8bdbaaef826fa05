"""Prefect's REST interface as `flows.schedules` needs it, without Prefect's client.

That client costs every process that imports it a hundred megabytes and two seconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import httpx

from flows import policies, servers
from radloop.domain.errors import Unavailable
from radloop.settings import Settings

ASK_SECONDS: Final = 10.0
TRIES: Final = 5
BUSY: Final = frozenset((408, 429, 502, 503, 504))
"""Its database was locked, say: the same question is safe again. Prefect's own client does the same."""
MOST: Final = 200
Answer = Mapping[str, Any]
"""One object of Prefect's, as it writes it (OpenAPI at /docs of its server)."""


def server_url(settings: Settings) -> str:
    """Base URL of the Prefect server.

    Raises:
        Unavailable: it does not run.
    """
    if (url := servers.url_of(settings, "prefect")) is None:
        raise Unavailable("the Prefect server is not running")
    return url


@contextmanager
def asking(settings: Settings) -> Iterator[httpx.Client]:
    """A client for some questions.

    Raises:
        Unavailable: the server does not run.
    """
    with httpx.Client(base_url=f"{server_url(settings)}/api/", timeout=ASK_SECONDS, trust_env=False) as prefect:
        yield prefect


def deployments(prefect: httpx.Client, pool: str) -> Mapping[str, Answer]:
    """The deployments of a work pool, by name.

    Raises:
        Unavailable: the server is away.
    """
    found = ask(prefect, "deployments/filter", work_pools={"name": {"any_": [pool]}}, limit=MOST)
    return {str(one["name"]): one for one in found}


def first_run(prefect: httpx.Client, deployment: Answer, sort: str, states: Sequence[str]) -> Answer:
    """The first run of a deployment by this order, of those in these states; empty where there is none.

    Raises:
        Unavailable: the server is away.
    """
    found: Sequence[Answer] = ask(
        prefect,
        "flow_runs/filter",
        flow_runs={"state": {"type": {"any_": list(states)}}},
        deployments={"id": {"any_": [deployment["id"]]}},
        sort=sort,
        limit=1,
    )
    return found[0] if found else {}


def ask(prefect: httpx.Client, what: str, **body: Any) -> Any:
    """One question, put again where the server is busy; what it answered, None where it said nothing.

    Raises:
        Unavailable: the server is away.
    """
    return policies.a_few_times(policies.PREFECT, TRIES, partial(_ask, prefect, what, body))


def _ask(prefect: httpx.Client, what: str, body: Mapping[str, Any]) -> Any:
    try:
        answer = prefect.post(what, json=body)
        if answer.status_code in BUSY:
            raise Unavailable("the Prefect server is busy")
        return answer.raise_for_status().json() if answer.content else None
    except httpx.HTTPStatusError as error:
        raise Unavailable(f"the Prefect server refused: {error.response.status_code}") from None
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(f"the Prefect server is away: {type(error).__name__}") from None
