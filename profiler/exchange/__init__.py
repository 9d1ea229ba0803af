"""Points in the forms of others: Dynamo's npz, aiperf's sweeps, aiconfigurator's estimates."""
