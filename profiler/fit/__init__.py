"""From points to laws, to curves between the points, and to how far both can be trusted."""
