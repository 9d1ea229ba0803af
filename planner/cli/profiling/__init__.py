"""What `planner profile` is wired from: options, real engines, progress and results."""
