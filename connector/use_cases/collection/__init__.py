"""Collecting: attempts planned and made, and what Stripe says of them."""
