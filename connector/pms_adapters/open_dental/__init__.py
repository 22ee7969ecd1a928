"""Adapter for Open Dental, through its REST API in Remote, Service or Local mode."""

from connector.pms_adapters.open_dental.adapter import OpenDental

ADAPTER = OpenDental()

__all__ = ["ADAPTER"]
