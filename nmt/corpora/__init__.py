"""What makes a parallel corpus trustworthy: look at it, clean it, split it, convert it."""
