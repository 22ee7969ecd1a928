"""A simulated Open Dental office: its REST API over a file of its own, as forgetful and uneven as the real one."""

from __future__ import annotations

from connector.sandbox.open_dental.app import create_app
from connector.sandbox.open_dental.options import Allocation, Mode, OfficeOptions

__all__ = ["Allocation", "Mode", "OfficeOptions", "create_app"]
