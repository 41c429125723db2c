"""Commands as users type them."""
