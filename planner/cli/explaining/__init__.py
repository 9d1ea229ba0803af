"""What `planner explain` can explain: one module a kind of thing."""
