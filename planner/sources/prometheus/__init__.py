"""Metrics read from a Prometheus that scrapes the deployment, in place of the processes' pages."""
