"""The library: what the commands `size` and `simulate` call, for programs and notebooks.

Its functions are names of `planner` itself: `planner.recommend`, `planner.simulate`,
`planner.load_profile`.
"""
