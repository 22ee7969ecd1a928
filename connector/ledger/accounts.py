"""The chart of accounts. Balances are always derived from postings; none is stored."""

from __future__ import annotations

from enum import StrEnum


class Account(StrEnum):
    """A place in the chart. Assets and expenses grow by debits, income by credits."""

    RECEIVABLE = "receivable"
    """What members owe on issued invoices."""
    MEMBERSHIP_INCOME = "membership_income"
    INSTALMENT_INCOME = "instalment_income"
    """Payment plans: treatment that is paid in parts."""
    PROCESSOR_CLEARING = "processor_clearing"
    """Money that Stripe holds for the practice."""
    PROCESSOR_FEES = "processor_fees"
    BANK = "bank"
    """Money that Stripe has paid out."""
