"""What happens after a failure: steps, their clock, and who is told."""
