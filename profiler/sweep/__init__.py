"""The sweep: starts engines, chooses points, repeats them, and keeps what came of it."""
