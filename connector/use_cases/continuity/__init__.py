"""One database, worked on in one place: how a former state or a copy is known, and how it catches up."""
