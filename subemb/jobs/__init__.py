"""Long work in worker processes: a manager with lanes, the workers, and tasks by name."""
