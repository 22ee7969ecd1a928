"""What it costs: prices per person, discounts, the platform fee, and whose money a payment is."""
