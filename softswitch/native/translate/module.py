"""A whole program as one LLVM module."""

from __future__ import annotations

from llvmlite import ir

from softswitch.native.layout import Layout
from softswitch.native.objects import Objects
from softswitch.native.runtime.program import p4_egress, p4_ingress
from softswitch.native.runtime.replication import process_batch, process_one
from softswitch.native.translate.architecture import write_architecture
from softswitch.native.translate.body import Unit
from softswitch.native.translate.deparser import write_deparser
from softswitch.native.translate.parser import write_parser
from softswitch.native.translate.pipeline import write_pipeline
from softswitch.native.words import Linker
from softswitch.program.model import Program


def translate(program: Program) -> str:
    """The program in LLVM's assembly language. UntranslatableError."""
    module = ir.Module("program")
    unit = Unit(program, Linker(module), Layout(program), Objects(program), {}, {}, {})
    write_architecture(unit)
    write_parser(unit)
    write_pipeline(unit, program.ingress, p4_ingress)
    write_pipeline(unit, program.egress, p4_egress)
    write_deparser(unit)
    unit.linker.export(process_batch, process_one)
    return str(module)
