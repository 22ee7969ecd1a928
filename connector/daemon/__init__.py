"""The long-running process: composition root, scheduler, workers and health."""
