"""Writing money into the practice system exactly once: the queue, its state machine, and the engine that works it off."""
