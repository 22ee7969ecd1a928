"""What browsers and webhooks reach. It renders and redirects; every decision is a use case's."""
