"""The life of a membership: from the draft of a contract to its end, and what it entitles to."""
