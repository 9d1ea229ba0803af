"""What a profile looks like to people: a plot for terminals, a page with charts, a command."""

from profiler.report.launch import Launch, manifest, serve_command
from profiler.report.page import page
from profiler.report.terminal import plot

__all__ = ["Launch", "manifest", "page", "plot", "serve_command"]
