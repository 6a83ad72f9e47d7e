"""The commands about topology files: `lispfabric topology generate`, `lispfabric topology schema`."""

from __future__ import annotations

import json
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from topologies.generate import Shape, ShapeError, generate

app = typer.Typer(help="Topology files: their schema, and new ones.", no_args_is_help=True)

_OUTPUT = typer.Option("--output", "-o", help="Write to this file, which must not exist, instead of standard output.")


class Domains(StrEnum):
    """What accelerators are in."""

    BOTH = "both"
    SCALE_OUT = "scale-out"
    SCALE_UP = "scale-up"


class Tunnel(StrEnum):
    """Encapsulations."""

    LISP = "lisp"
    LISP_GPE = "lisp-gpe"
    VXLAN = "vxlan"
    VXLAN_GPE = "vxlan-gpe"


class Version(StrEnum):
    """IP versions."""

    IPV4 = "4"
    IPV6 = "6"


@app.command(epilog="Example: lispfabric topology schema -o topology.schema.json")
def schema(output: Annotated[Path | None, _OUTPUT] = None) -> None:
    """Print the JSON schema of topology files, for editors and other programs."""
    from topologies.schema import Topology

    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Topology.model_json_schema()}
    _write(json.dumps(content, indent=2) + "\n", output)


@app.command("generate", epilog="Example: lispfabric topology generate --pods 16 --accelerators 1024 -o large.yaml")
def generate_file(
    name: Annotated[str, typer.Option(help="Name of the topology.")] = "generated",
    pods: Annotated[int, typer.Option(help="PoDs.")] = 4,
    accelerators: Annotated[int, typer.Option(help="Accelerators of all PoDs together.")] = 8,
    access_per_pod: Annotated[int, typer.Option(help="Access switches of each PoD.")] = 2,
    borders: Annotated[
        int | None, typer.Option(help="Border switches of each PoD. [default: 2; none in Scale-Up alone]")
    ] = None,
    pod_switches: Annotated[int, typer.Option(help="PoD switches of each PoD, linked to all its xTRs.")] = 1,
    fabric_switches: Annotated[int, typer.Option(help="Fabric switches, linked to all borders.")] = 2,
    tenants: Annotated[int, typer.Option(help="Tenants, each with an Instance-ID in each domain.")] = 1,
    multihomed: Annotated[int, typer.Option(help="Accelerators that are attached to two access switches.")] = 0,
    domains: Annotated[Domains, typer.Option(help="What accelerators are in.")] = Domains.BOTH,
    nodes: Annotated[int, typer.Option(help="Map-Servers of the Scale-Out mapping system.")] = 1,
    eid_version: Annotated[Version, typer.Option(help="IP version of the accelerators.")] = Version.IPV4,
    rloc_version: Annotated[Version, typer.Option(help="IP version of the underlay.")] = Version.IPV4,
    encapsulation: Annotated[Tunnel, typer.Option(help="Encapsulation of every Instance-ID.")] = Tunnel.VXLAN_GPE,
    output: Annotated[Path | None, _OUTPUT] = None,
) -> None:
    """Write a topology file for a fabric of this shape."""
    from topologies.write_yaml import topology_text

    given: dict[str, Any] = {
        "name": name,
        "pods": pods,
        "accelerators": accelerators,
        "access_per_pod": access_per_pod,
        "borders": borders if borders is not None else 0 if domains is Domains.SCALE_UP else 2,
        "pod_switches": pod_switches,
        "fabric_switches": fabric_switches,
        "tenants": tenants,
        "multihomed": multihomed,
        "domains": domains.value,
        "nodes": nodes,
        "eid_version": int(eid_version.value),
        "rloc_version": int(rloc_version.value),
        "encapsulation": encapsulation.value,
    }
    try:
        shape = Shape(**given)
    except ShapeError as error:
        raise _fail(_option(str(error))) from None
    _write(topology_text(generate(shape), heading(shape)), output)


def heading(shape: Shape) -> str:
    """What the file says of itself, the command that makes it again included."""
    said = [
        f"--{one.name.replace('_', '-')} {getattr(shape, one.name)}"
        for one in fields(Shape)
        if getattr(shape, one.name) != one.default
    ]
    switches = f"{shape.access_per_pod} access, {shape.borders} border and {shape.pod_switches} PoD switches"
    fabric = shape.fabric_switches if shape.borders else 0
    return (
        f"{shape.pods} PoDs of {switches}, {fabric} fabric switches, {shape.accelerators} accelerators of "
        f"{shape.tenants} tenants.\nMade by: {' '.join(['lispfabric topology generate', *said])}"
    )


def _option(message: str) -> str:
    """`access_per_pod = 3: why` as the command line calls it: `--access-per-pod 3: why`."""
    field, _, rest = message.partition(" = ")
    return f"--{field.replace('_', '-')} {rest}" if rest else message


def _fail(message: str) -> typer.Exit:
    typer.secho(f"error: {message}", fg="red", err=True)
    return typer.Exit(1)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with output.open("x") as file:
            file.write(text)
    except OSError as error:
        raise _fail(f"--output {output}: {error.strerror}") from None
