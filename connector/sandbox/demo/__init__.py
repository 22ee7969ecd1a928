"""The demo practice: both sandboxes as processes, a thousand members, and three months on a moved clock."""
