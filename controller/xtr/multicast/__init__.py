"""Multicast and broadcast at an xTR: who listens, who forwards for its Site, and where copies go (RFC 8378)."""
