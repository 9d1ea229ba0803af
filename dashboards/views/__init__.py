"""The pages themselves: what is shown where, and nothing else."""
