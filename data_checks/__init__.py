"""Expectations and drift statistics over the ledger's acquisition table."""
