"""Wire formats: bytes of a message to rows, one module a format."""
