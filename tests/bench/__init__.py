"""Benchmarks: each prints a table and writes JSON. Run by `make bench`."""
