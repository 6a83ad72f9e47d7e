"""What can be asked of a running fabric over its control socket: one file for each family of methods."""

from topologies.operate.methods import methods_of

__all__ = ["methods_of"]
