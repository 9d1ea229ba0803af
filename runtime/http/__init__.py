"""A small HTTP/1.1 server: the frontend's request path, and every process' /metrics and /health."""
