"""The practice system's ledger, the day's comparison, and the journal."""
