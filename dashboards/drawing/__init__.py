"""Tables as charts: pure functions that return Vega-Lite specifications as plain data."""
