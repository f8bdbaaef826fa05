"""The doors: gateway, inference, command line, supervisor and the demo's stand-ins."""
