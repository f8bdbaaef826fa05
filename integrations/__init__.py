"""The hospital's protocols. The folders here never import each other."""
