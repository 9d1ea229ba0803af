"""Engines on a virtual clock, as functions of flat records that numba can compile.

The functions read as plain Python and run as such where numba is not installed, with the same
results. `turn` is the one way in; `planner.sim.run` calls it from event to event of the fleet.
"""
