"""Money that goes back, by Stripe or by the practice, and what comes of it in every book."""
