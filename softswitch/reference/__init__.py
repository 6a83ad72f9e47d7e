"""The reference engine: executes a program construct by construct, and can tell what it did."""

from softswitch.reference.engine import ReferenceEngine
from softswitch.reference.trace import Event, TraceSink
from softswitch.reference.trace_text import render

__all__ = ["Event", "ReferenceEngine", "TraceSink", "render"]
