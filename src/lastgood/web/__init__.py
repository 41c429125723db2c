"""HTTP, below whoever answers."""
