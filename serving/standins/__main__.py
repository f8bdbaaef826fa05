"""`python -m serving.standins --folder DIR`: the three stand-ins in one process, ports as one line of JSON."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from radloop import logs
from radloop.process import die_with_parent
from serving.standins import EhrStandIn, PacsStandIn, RisStandIn


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m serving.standins",
        description="A PACS, a RIS and an EHR of our own, for demonstrations and tests. They keep what they get in "
        "DIR/pacs, DIR/ris and DIR/ehr, print their ports as one line of JSON, and end with their parent.",
    )
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="where they keep what they get")
    parser.add_argument("--host", default="127.0.0.1", help="address that they bind to (default: %(default)s)")
    for name, what in (("pacs", "DICOM"), ("ris", "HL7"), ("ehr", "FHIR")):
        parser.add_argument(f"--{name}-port", type=int, default=0, help=f"{what} port (default: a free one)")
    parser.add_argument("--pacs-ae-title", default="PACS", help="AE title of the PACS (default: %(default)s)")
    parser.add_argument(
        "--move-to",
        action="append",
        default=[],
        metavar="AE=HOST:PORT",
        help="a destination that C-MOVE may name; may be repeated",
    )
    return parser.parse_args(argv)


def _destination(text: str) -> tuple[str, tuple[str, int]]:
    ae_title, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    return ae_title, (host, int(port))


def main(argv: Sequence[str] | None = None) -> None:
    """Run until told to end."""
    die_with_parent()
    logs.configure("standins")
    given = _arguments(argv)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with ExitStack() as stack:
        pacs = PacsStandIn(
            given.folder / "pacs",
            ae_title=given.pacs_ae_title,
            host=given.host,
            port=given.pacs_port,
            destinations=dict(map(_destination, given.move_to)),
        )
        ris = RisStandIn(given.folder / "ris", host=given.host, port=given.ris_port)
        ehr = EhrStandIn(given.folder / "ehr", host=given.host, port=given.ehr_port)
        ports = {
            "pacs": stack.enter_context(pacs).port,
            "ris": stack.enter_context(ris).port,
            "ehr": stack.enter_context(ehr).port,
        }
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
        done.wait()


if __name__ == "__main__":
    main()
