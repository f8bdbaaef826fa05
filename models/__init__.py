"""The models: the zoo of bundles, phantoms, training, evaluation, explanation and the registry."""
