"""Simulated Stripe and simulated practice systems as real HTTP servers, with faults; for tests and the demo."""
