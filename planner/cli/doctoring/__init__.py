"""What `planner doctor` looks at, one part of the machine in each module."""
