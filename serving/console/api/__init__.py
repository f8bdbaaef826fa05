"""The REST interface, /api/v1: a module per aggregate. The pages of the console use the same functions."""
