"""The command line, spelled like simple_switch_grpc's where that has the option.

    softswitch [options] program.json [-- target options]
    softswitch [options] --no-p4 [-- target options]

Several devices in one process have a `--device-id` each, all behind one address, and their ports are named with them:

    softswitch --device-id 1 --device-id 2 -i 1/1@veth0 -i 1/2@link:2/1,delay=2ms,loss=1% --no-p4

simple_switch_grpc wants its target options (--grpc-server-addr, --cpu-port, --drop-port) behind a `--`; here they may
stand anywhere, and the `--` means nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from google.protobuf import text_format
from p4.config.v1 import p4info_pb2
from p4.v1 import p4runtime_pb2 as p4rt
from typer.exceptions import TyperException

from softswitch.interfaces import parse_interface
from softswitch.p4runtime import Device
from softswitch.p4runtime.errors import P4RuntimeError
from softswitch.ports import PortError
from softswitch.process import Process, StartError
from softswitch.program import Program, ProgramError, load_program
from softswitch.reference import Event, render
from softswitch.switch import Switch

log = logging.getLogger(__name__)

_DEFAULT_ADDRESS: Final = "0.0.0.0:9559"
_MAX_PORT: Final = 511
_TRACE: Final = 5

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class LogLevel(StrEnum):
    """The levels of simple_switch_grpc."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    OFF = "off"


_LEVELS: Final = {
    LogLevel.TRACE: _TRACE,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARN: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.OFF: logging.CRITICAL + 1,
}


class EngineChoice(StrEnum):
    """The engines."""

    AUTO = "auto"
    NATIVE = "native"
    REFERENCE = "reference"


class UsageError(TyperException):
    """What was asked for cannot be done; the message is all that the user needs."""

    exit_code = 2


@app.command()
def run(
    program: Annotated[Path | None, typer.Argument(metavar="JSON", help="bmv2 JSON of the program.")] = None,
    json: Annotated[Path | None, typer.Option(help="The same, as an option.")] = None,
    no_p4: Annotated[bool, typer.Option("--no-p4", help="Start without a program; P4Runtime brings it.")] = False,
    p4info: Annotated[
        Path | None, typer.Option(help="P4Info (text) of the program: P4Runtime knows it at once.")
    ] = None,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            "--interface",
            "-i",
            metavar="PORT@INTERFACE",
            help="Port and network interface, unix:PATH[,PEER], pcap:IN[,OUT], or link:PORT for a link to another "
            "port of this process. PORT is DEVICE/PORT where there are several devices. May be followed by effects on "
            "what is sent there: ,delay=2ms ,jitter=1ms ,loss=1% ,duplicate=1% ,reorder=1% ,rate=10Gbit ,queue=64 "
            ",seed=7; the same with in- for what is received. May be repeated.",
        ),
    ] = None,
    use_files: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="Interfaces X are files X_in.pcap and X_out.pcap, read after a wait."
        ),
    ] = None,
    pcap: Annotated[
        Path | None, typer.Option(metavar="[DIR]", help="Record every interface in a folder (default: here).")
    ] = None,
    device_id: Annotated[
        list[int] | None, typer.Option(min=0, help="P4Runtime device id (default 0); repeated for several devices.")
    ] = None,
    grpc_server_addr: Annotated[str, typer.Option(metavar="HOST:PORT", help="Or unix:PATH.")] = _DEFAULT_ADDRESS,
    cpu_port: Annotated[
        int | None, typer.Option(min=1, max=_MAX_PORT, help="Port of the controller; none without it.")
    ] = None,
    drop_port: Annotated[int, typer.Option(min=0, max=_MAX_PORT, help="Egress port that drops.")] = _MAX_PORT,
    log_console: Annotated[bool, typer.Option("--log-console", help="Log on stdout.")] = False,
    log_file: Annotated[Path | None, typer.Option(help="Log into a file.")] = None,
    log_level: Annotated[
        LogLevel, typer.Option("--log-level", "-L", help="trace follows every packet.")
    ] = LogLevel.TRACE,
    engine: Annotated[
        EngineChoice,
        typer.Option(help="What carries packets: machine code or the reference engine; auto prefers native."),
    ] = EngineChoice.AUTO,
    trace_every: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Trace one of N packets; the others are carried by the native engine."),
    ] = 1,
    show_version: Annotated[bool, typer.Option("--version", "-v", help="Print the version.")] = False,
) -> None:
    """A v1model switch that runs what p4c-bm2-ss compiled and speaks P4Runtime."""
    if show_version:
        typer.echo(version("lispfabric"))
        return
    if program is not None and json is not None:
        raise UsageError(f"the program is given twice, as {program} and with --json {json}")
    path = program or json
    if no_p4 == (path is not None):
        raise UsageError("give either the JSON file of a program or --no-p4")
    if p4info is not None and path is None:
        raise UsageError(f"--p4info {p4info} needs the JSON file of the program too")
    _start_logging(log_console, log_file, log_level)
    tracing = log_level == LogLevel.TRACE and (log_console or log_file is not None)
    try:
        interfaces = [parse_interface(text, files=use_files is not None) for text in interface or []]
    except PortError as error:
        raise UsageError(f"--interface: {error}") from None
    devices: dict[int, Device] = {}
    for number in device_id or [0]:
        if number in devices:
            raise UsageError(f"--device-id {number} is given twice")
        switch = Switch(
            number,
            cpu_port=cpu_port,
            drop_port=drop_port,
            trace=_trace if tracing else None,
            engine=engine.value,
            trace_every=trace_every,
        )
        devices[number] = Device(switch)
        if path is not None:
            _load(switch, devices[number], path, p4info)
    try:
        asyncio.run(Process(devices, interfaces, grpc_server_addr, pcap, use_files or 0.0).run())
    except StartError as error:
        raise UsageError(str(error)) from None


def _load(switch: Switch, device: Device, path: Path, p4info: Path | None) -> None:
    """Starts with a program; with its P4Info, as if a client had set the pipeline."""
    try:
        program = load_program(_read(path))
    except ProgramError as error:
        raise UsageError(f"{path}: {error}") from None
    if p4info is None:
        _set_program(switch, program, path)
        return
    info = p4info_pb2.P4Info()
    try:
        text_format.Parse(_read(p4info), info)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise UsageError(f"{p4info}: {error}") from None
    config = p4rt.ForwardingPipelineConfig(p4info=info, p4_device_config=_read(path))
    try:
        device.set_pipeline(p4rt.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT, config)
    except P4RuntimeError as error:
        raise UsageError(f"{p4info} does not fit {path}: {error.message}") from None


def _set_program(switch: Switch, program: Program, path: Path) -> None:
    try:
        switch.set_program(program)
    except ProgramError as error:
        raise UsageError(f"{path}: {error}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _start_logging(console: bool, file: Path | None, level: LogLevel) -> None:
    """Without a log, warnings go to stderr."""
    if console and file is not None:
        raise UsageError("--log-console and --log-file exclude each other")
    logging.addLevelName(_TRACE, "TRACE")
    handler: logging.Handler = logging.StreamHandler(sys.stdout if console else sys.stderr)
    if file is not None:
        try:
            handler = logging.FileHandler(file)
        except OSError as error:
            raise UsageError(f"--log-file {file}: {error.strerror}") from None
    logged = console or file is not None
    logging.basicConfig(
        handlers=[handler],
        level=_LEVELS[level] if logged else logging.WARNING,
        format="[%(asctime)s] [%(levelname)s] %(message)s",
        force=True,
    )


def _trace(event: Event) -> None:
    log.log(_TRACE, "%s", render([event]))


def _arguments(given: Sequence[str]) -> list[str]:
    """Makes of simple_switch_grpc's two command lines one, and of its bare `--pcap` one with the current folder."""
    arguments = [argument for argument in given if argument != "--"]
    with contextlib.suppress(ValueError):
        at = arguments.index("--pcap")
        following = arguments[at + 1] if at + 1 < len(arguments) else "-"
        if following.startswith("-") or following.endswith(".json"):
            arguments.insert(at + 1, ".")
    return arguments


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the switch; exits with 0 after SIGINT or SIGTERM, with one line on stderr if something is wrong."""
    try:
        code = app(_arguments(sys.argv[1:] if arguments is None else arguments), standalone_mode=False)
    except TyperException as error:
        print(f"softswitch: {' '.join(error.format_message().split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
