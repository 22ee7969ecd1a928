"""Invoices: what is due, at what price, issued once, and decided about by hand."""
