"""The words of DESIGN.md as types: enums, records, ids, ports and errors. Standard library only."""
