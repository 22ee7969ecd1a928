"""Edges to practice-management systems: the port, its records, the registry, and one package per vendor."""
