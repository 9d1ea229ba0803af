"""A fleet on a virtual clock, driven by the same decisions as a real one."""
