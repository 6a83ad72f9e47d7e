"""A P4Runtime switch that executes any bmv2 JSON written by p4c for the v1model architecture."""
