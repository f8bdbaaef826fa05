"""Keeps the house's processes up: starts them, sees that they are ready, restarts what dies, leaves nothing behind."""
