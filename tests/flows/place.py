"""A home with keys, ledger and settings, and studies that arrive in it as the gateway would record them."""

import hashlib
from pathlib import Path
from typing import Any

from pydicom import Dataset

from flows.house import House, open_house
from models.phantoms import chest
from radloop.domain.ids import utc_now
from radloop.domain.records import Arrival
from radloop.ledger import Ledger, instances, models
from radloop.ledger.instances import Receipt
from radloop.pixels import parse_identity, split
from radloop.settings import load_settings
from radloop.store import Keyring
from tests.flows import cards
from tests.peers.dicom_files import part10
from tests.templates import put_ledger

SETTINGS = """
[gateway]
ae_title = "RADLOOP"
[completeness]
settle_seconds = {settle}
quiet_seconds = {quiet}
[inference]
port = {inference}
retry_seconds = 0.5
deadline_seconds = {deadline}
[prefect]
port = {prefect}
[runner]
poll_seconds = 0.05
lease_seconds = 4.0
[delivery]
first_retry_seconds = 0.1
longest_retry_seconds = 0.5
breaker_failures = {breaker_failures}
breaker_seconds = 0.3
[ledger]
url = "{ledger}"
[[routes]]
models = ["cxr_pneumonia"]
when = {{ modality = ["CR", "DX"], body_part = ["CHEST", ""] }}
{more}
"""
DEFAULTS: dict[str, Any] = {
    "settle": 0.2,
    "quiet": 1.0,
    "inference": 1,
    "deadline": 5.0,
    "prefect": 1,
    "breaker_failures": 3,
    "ledger": "",
    "more": "",
}


def make_home(home: Path, **options: Any) -> House:
    """A home ready for a runner: keys, tables, the champion of the test's card."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "radloop.toml").write_text(SETTINGS.format(**{**DEFAULTS, **options}))
    settings = load_settings(home)
    if not settings.keys_path.exists():
        Keyring.create(settings.keys_path)
    if not settings.ledger.url:
        put_ledger(home / "ledger.db")
    house = open_house(settings)
    house.ledger.upgrade()
    with house.ledger.write() as conn:
        models.register(conn, cards.version())
    return house


def chest_study(seed: int, **changes: object) -> Dataset:
    """A small chest radiograph; a change to None takes the attribute out."""
    ds = chest(seed, opacity=True, rows=128)
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def arrive(house: House, *datasets: Dataset, peer: str = "modality") -> tuple[Receipt, ...]:
    """Put instances into the store and the ledger."""
    arrivals = []
    for ds in datasets:
        data = part10(ds)
        file = split(data)
        arrivals.append(
            Arrival(
                header=parse_identity(file.dataset, file.transfer_syntax_uid),
                blob=house.store.put(data),
                content_sha256=hashlib.sha256(file.dataset).hexdigest(),
                peer=peer,
                received_at=utc_now(),
            )
        )
    return record(house.ledger, *arrivals)


def record(ledger: Ledger, *arrivals: Arrival) -> tuple[Receipt, ...]:
    with ledger.write() as conn:
        return instances.record(conn, arrivals)
