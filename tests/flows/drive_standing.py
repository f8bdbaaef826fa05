"""Promotes and rolls back until it is killed: `python -m tests.flows.drive_standing HOME FIRST NEXT`."""

import sys
from pathlib import Path

from flows import standing
from flows.house import open_house
from radloop.ledger import standing as rows
from radloop.ledger.standing import Act
from radloop.settings import load_settings

if __name__ == "__main__":
    house = open_house(load_settings(Path(sys.argv[1])))
    first, following = sys.argv[2:4]
    while True:
        with house.ledger.read() as conn:
            now = rows.models.champion(conn, "cxr_pneumonia")
        if now is not None and now.digest == following:
            standing.rollback(house, "cxr_pneumonia", "runner", "a stop rule fired", expected=following)
            continue
        with house.ledger.write() as conn:
            rows.shadow(conn, following, Act("ann", "once more"))
        with house.ledger.write() as conn:
            rows.promote(conn, following, Act("ben", "approved"), expected=first)
