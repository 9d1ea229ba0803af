"""What a sweep will do, before anything is started: what fits, how many points, how long."""
