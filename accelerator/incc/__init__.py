"""Collectives in the switches, as the members of a group see them (docs/incc.md, docs/collectives.md)."""
