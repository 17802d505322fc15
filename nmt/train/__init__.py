"""From a recipe to a run folder: `run` prepares, `trainer` learns, `progress` shows."""
