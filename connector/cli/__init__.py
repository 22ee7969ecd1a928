"""The commands: each module parses, calls one use case, and prints. No rules and no queries of its own."""
