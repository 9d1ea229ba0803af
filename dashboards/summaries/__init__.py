"""What was read, as the small tables that a page shows: pure functions."""
