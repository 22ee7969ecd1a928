"""Rehearsing what will be done: the real use cases on a copy of the database, with stand-ins for the outside world."""
