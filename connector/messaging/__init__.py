"""Messages to members: the port to a mail system, the outbox folder that serves as one by default, and the texts."""
