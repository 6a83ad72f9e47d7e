"""Turns the state of a router's control plane into the entries of the fabric's P4 program."""
