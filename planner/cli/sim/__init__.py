"""What `planner simulate` is made of: its flags, its runs, and the forms of their result."""
