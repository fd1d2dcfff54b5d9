"""Real servers as processes: each a context manager over a temporary folder, with its log kept there."""
