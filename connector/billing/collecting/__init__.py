"""How it is collected: charges and attempts, what is charged after an absence, declines and recovery."""
