"""What can be asked of a running fabric over its control socket: one file for each family of methods."""

from topologies.operate.links import AcceleratorLinks
from topologies.operate.methods import methods_of

__all__ = ["AcceleratorLinks", "methods_of"]
