"""The verbs: plain async functions composed of the first floor, wrapped as Prefect flows, and the runner."""
