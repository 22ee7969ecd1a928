"""Payment plans: agreed, changed, paid early, ended."""
