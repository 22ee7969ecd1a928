"""What is asked for once: instant payments by link, and holds on a card."""
