"""Statistics that compare a window with a reference, one module each. numpy and scipy only, deterministic."""
