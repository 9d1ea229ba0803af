"""Other autoscalers' rules as policies, written from their documented formulas: what ours is compared with."""
