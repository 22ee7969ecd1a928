"""Messages: queued with their reason, worded and handed over later."""
