"""The models we serve: one folder each, found by `models.catalog`."""
