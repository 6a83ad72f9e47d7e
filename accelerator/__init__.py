"""The endpoints of the fabric: what an accelerator's network interface sends and receives."""
