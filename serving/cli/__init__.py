"""The command `radloop`. Every command imports its room when it runs, so that the command itself starts at once."""
