"""What the product does, one verb a module: each joins billing, ledger and matching in as few units of work as it can.

Calls to Stripe or a practice system happen between two units of work, never inside one.
"""
