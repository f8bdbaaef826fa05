"""One check a module: each exports CHECK, and the catalog finds it."""
