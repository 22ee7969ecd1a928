"""Membership plans in versions, announced changes of what was signed, and promo codes."""
