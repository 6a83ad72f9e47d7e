"""Builds the program model from the JSON document, part by part."""
