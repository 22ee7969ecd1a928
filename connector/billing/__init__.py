"""What a practice sells and how it is collected: plans, members, contracts, invoices, charges. Knows no vendor."""
