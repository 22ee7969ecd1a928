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
    TREATMENT_INCOME = "treatment_income"
    """Instant payments and captured holds."""
    FEES_CHARGED_ON = "fees_charged_on"
    """The platform fee where the patient bears it: a line of the invoice, no money of the practice's own."""
    GST_PAYABLE = "gst_payable"
    """GST in what patients were invoiced."""
    PROCESSOR_CLEARING = "processor_clearing"
    """Money that Stripe holds for the practice."""
    PROCESSOR_FEES = "processor_fees"
    PLATFORM_FEES = "platform_fees"
    """What the platform charges the practice, without GST."""
    GST_ON_FEES = "gst_on_fees"
    PLATFORM_PAYABLE = "platform_payable"
    """Platform fees that are owed: kept back by Stripe at once, or asked for by statement."""
    DESK = "desk"
    """What was paid at the practice: in cash, by cheque, on its own terminal, by bank transfer."""
    BANK = "bank"
    """Money that Stripe has paid out."""
