"""Other autoscalers' rules, from their documented formulas: what ours is compared with."""
