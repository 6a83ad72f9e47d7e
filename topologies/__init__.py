"""Topologies of fabrics, and what brings them up."""
