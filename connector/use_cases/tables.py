"""Loads every model, so that all tables and their foreign keys are known before the first query."""

from connector.billing import activity, clinics, inbox, invoices, links, members, staff
from connector.billing.agreements import contracts, payment_plans, payment_requests
from connector.billing.collecting import charges, recovery
from connector.billing.offers import benefit_uses, plan_changes, plans
from connector.billing.prices import discounts, platform_fees
from connector.database import job_runs, seal
from connector.database.base import Base
from connector.ledger import journal
from connector.ledger.write_back import breaker, connection_lease
from connector.ledger.write_back import models as write_back
from connector.matching import models as matching
from connector.messaging import models as messaging
from connector.reconciliation import models as reconciliation

METADATA = Base.metadata
"""The schema as the models declare it; the migrations must arrive at the same."""

__all__ = [
    "METADATA",
    "activity",
    "benefit_uses",
    "breaker",
    "charges",
    "clinics",
    "connection_lease",
    "contracts",
    "discounts",
    "inbox",
    "invoices",
    "job_runs",
    "journal",
    "links",
    "matching",
    "members",
    "messaging",
    "payment_plans",
    "payment_requests",
    "plan_changes",
    "plans",
    "platform_fees",
    "reconciliation",
    "recovery",
    "seal",
    "staff",
    "write_back",
]
