"""Plots as SVG text: they stand alone in a report, a document or a page."""
