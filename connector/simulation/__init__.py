"""A practice's life on a moved clock, with faults from a seed, and a judge who shares no rule with the product."""
