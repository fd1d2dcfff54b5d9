"""What must not pass the boundary, by policy: redacted between decoding and everything else. See docs/privacy.md."""
