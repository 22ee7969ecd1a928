"""Loads every model, so that all tables and their foreign keys are known before the first query."""

from connector.billing import charges, clinics, contracts, inbox, invoices, members, plans
from connector.database import job_runs
from connector.database.base import Base
from connector.ledger import journal
from connector.ledger.write_back import models as write_back
from connector.matching import models as matching
from connector.reconciliation import models as reconciliation

METADATA = Base.metadata
"""The schema as the models declare it; the migrations must arrive at the same."""

__all__ = [
    "METADATA",
    "charges",
    "clinics",
    "contracts",
    "inbox",
    "invoices",
    "job_runs",
    "journal",
    "matching",
    "members",
    "plans",
    "reconciliation",
    "write_back",
]
