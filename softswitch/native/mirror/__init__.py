"""Entries, members, groups, replicas in the form that machine code looks up, kept up to date change by change."""
