"""Comparing what was taken with what the practice system and Stripe show, and closing the day."""
