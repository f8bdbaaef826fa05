"""Whole houses: real processes, real peers, from C-STORE to the answer."""
