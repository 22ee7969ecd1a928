"""Bringing a practice in from another system, and taking everything out on leaving."""
