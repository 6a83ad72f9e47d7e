"""PyTorch's collectives computed in the switches."""
