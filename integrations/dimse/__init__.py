"""DIMSE client: C-ECHO, C-STORE, C-FIND and C-MOVE towards the hospital's PACS (PS3.4, PS3.7, PS3.8).

`ADAPTER` is what the delivery flow sees; the other functions serve the command line, completeness and ingest. All of
them block: call them from a worker thread.
"""

from integrations.dimse.adapter import ADAPTER, DimseAdapter
from integrations.dimse.commitment import Commitment, request_commitment
from integrations.dimse.files import FileOutcome, files_under, send_files
from integrations.dimse.query import RemoteStudy, StudyQuery, count_instances, find_studies
from integrations.dimse.retrieve import MoveOutcome, move
from integrations.dimse.verification import echo

__all__ = [
    "ADAPTER",
    "Commitment",
    "DimseAdapter",
    "FileOutcome",
    "MoveOutcome",
    "RemoteStudy",
    "StudyQuery",
    "count_instances",
    "echo",
    "files_under",
    "find_studies",
    "move",
    "request_commitment",
    "send_files",
]
