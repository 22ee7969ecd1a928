"""What patients see and do behind a secure link."""
