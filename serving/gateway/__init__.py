"""The door: DICOM and HL7 come in here, and nothing is acknowledged before it is durable.

- `listener`: one accept loop per port, one thread per connection, limits against strangers
- `wire`: a socket whose every read and write has a deadline
- `admission`: which peers may come in
- `denials`: who was refused although we know them, on record
- `association`, `contexts`, `storage`, `statuses`, `part10`: DICOM
- `mllp`: HL7
- `committer`: one ledger transaction for all that wait right now
- `aside`: the one way into quarantine
- `reconcile`: what a crash left behind
- `readiness`: the announcement, there while work can be done
- `conformance`: the DICOM conformance statement of the running configuration
"""
