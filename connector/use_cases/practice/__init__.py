"""Setting up a practice: locations, their settings, the team, and what the platform is owed."""
