"""Writing money into the practice system exactly once: the queue, its states, and the engine that works it off."""
