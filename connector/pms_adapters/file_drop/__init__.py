"""Adapter for practice systems without an interface: payments leave as files, acknowledgements come back as files."""

from connector.pms_adapters.file_drop.adapter import FileDrop

ADAPTER = FileDrop()

__all__ = ["ADAPTER"]
