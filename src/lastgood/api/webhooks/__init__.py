"""Sending webhooks: the only place where the server speaks to an address that a client named."""
