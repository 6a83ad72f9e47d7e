"""From LLVM assembly to machine code in this process, by way of objects kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import llvmlite
from llvmlite import binding, ir

from softswitch.native.cache import ObjectCache
from softswitch.native.runtime import classifier, hub, links
from softswitch.native.words import Linker

log = logging.getLogger(__name__)

_OPTIMISATION = 2
_CORE = (
    *(hub.run, hub.inject, hub.release, hub.flood, hub.copy_often, links.activate),
    *(classifier.group_new, classifier.group_free, classifier.group_insert, classifier.group_remove),
)


class Code:
    """Machine code; lives as long as the process, since switches may hold its addresses."""

    def __init__(self, engine: binding.ExecutionEngine) -> None:
        self._engine = engine
        self._functions: dict[str, Callable[..., int]] = {}

    def address(self, name: str) -> int:
        """Of a function."""
        found: int = self._engine.get_function_address(name)
        return found

    def function(self, name: str, arguments: int) -> Callable[..., int]:
        """A function of words, called without the interpreter's lock."""
        if name not in self._functions:
            kind = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * arguments)
            self._functions[name] = kind(self.address(name))
        return self._functions[name]


_live: list[Code] = []


@cache
def _target() -> binding.TargetMachine:
    if sys.byteorder != "little":
        raise OSError("the native engine runs on little-endian machines")
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    target = binding.Target.from_default_triple()
    machine = target.create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=_OPTIMISATION, reloc="pic", codemodel="jitdefault"
    )
    machine.set_asm_verbosity(False)
    return machine


@cache
def toolchain() -> str:
    """What, besides the program, decides the machine code: this package's text, LLVM, the processor."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    features = binding.get_host_cpu_features().flatten()
    for part in (llvmlite.__version__, binding.get_default_triple(), binding.get_host_cpu_name(), features):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def compile_cached(digest: str, assembly: Callable[[], str]) -> Code:
    """The code of a module, from the cache if it has been compiled before. Loads it into the process."""
    store = ObjectCache()
    key = hashlib.sha256(f"{toolchain()} {digest}".encode()).hexdigest()
    binary = store.load(key)
    if binary is not None:
        try:
            return load(binary)
        except RuntimeError:
            log.warning("object %s of the cache cannot be used; it is compiled again", key)
    begun = time.perf_counter()
    binary = compile_object(assembly())
    log.info("compiled to %d octets of machine code in %.2f s", len(binary), time.perf_counter() - begun)
    store.save(key, binary)
    return load(binary)


def compile_object(assembly: str) -> bytes:
    """Optimises a module; an object file."""
    module = binding.parse_assembly(assembly)
    module.verify()
    machine = _target()
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    options = binding.create_pipeline_tuning_options(speed_level=_OPTIMISATION)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    emitted: bytes = machine.emit_object(module)
    return emitted


def load(binary: bytes) -> Code:
    """Loads an object file."""
    empty = binding.parse_assembly("")
    engine = binding.create_mcjit_compiler(empty, _machine_of_engine())
    engine.add_object_file(binding.ObjectFileRef.from_data(binary))
    engine.finalize_object()
    code = Code(engine)
    _live.append(code)
    return code


def _machine_of_engine() -> binding.TargetMachine:
    _target()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(cpu=binding.get_host_cpu_name(), opt=_OPTIMISATION, codemodel="jitdefault")


@cache
def core() -> Code:
    """The runtime's own functions, the same for every program."""

    def assembly() -> str:
        module = ir.Module("core")
        Linker(module).export(*_CORE)
        return str(module)

    return compile_cached("core", assembly)
