"""One check at the door a module: each exports CHECK, and the catalog finds it."""
