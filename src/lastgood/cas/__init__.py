"""Content-addressed objects: bytes named by their SHA-256."""
