"""A forwarding pipeline: what makes a P4Runtime switch the switch of a certain P4 program."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from p4.v1 import p4runtime_pb2

from controller.p4rt import tofino
from controller.p4rt.errors import P4InfoError
from controller.p4rt.p4info import P4Info


class PipelineMode(Enum):
    """What becomes of the forwarding state when a pipeline is set."""

    CLEAR = p4runtime_pb2.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT
    PRESERVE = p4runtime_pb2.SetForwardingPipelineConfigRequest.RECONCILE_AND_COMMIT


@dataclass(frozen=True, slots=True)
class Pipeline:
    """P4Info and what the target executes.

    Attributes:
        device_config: what the compiler made for the target; bmv2: the JSON; Tofino:
            see tofino.py.
        cookie: 64 bits the switch keeps with the pipeline, by which it is recognized.
        one_shot: whether the target takes action sets, or members and groups alone.
    """

    info: P4Info = field(compare=False)
    device_config: bytes = field(repr=False)
    cookie: int
    one_shot: bool = field(default=True, compare=False)

    @classmethod
    def make(cls, info: P4Info, device_config: bytes) -> Pipeline:
        """A pipeline whose cookie is a digest of its content, so that equal pipelines have equal cookies."""
        text = info.proto.SerializeToString(deterministic=True)
        digest = hashlib.sha256(len(text).to_bytes(8, "big") + text + device_config).digest()
        return cls(info, device_config, int.from_bytes(digest[:8], "big"))

    @classmethod
    def from_files(cls, p4info: Path | str, device_config: Path | str) -> Pipeline:
        """Read a pipeline; raises P4InfoError if a file cannot be read or the P4Info is malformed.

        A device configuration that ends with ".conf" is the description of a program for Tofino, which becomes the
        message that Stratum takes (tofino.py); Stratum knows no action sets. Of any other file the octets are sent.
        """
        if Path(device_config).suffix == tofino.CONF_SUFFIX:
            made = cls.make(P4Info.from_file(p4info), tofino.stratum_config(device_config))
            return replace(made, one_shot=False)
        try:
            config = Path(device_config).read_bytes()
        except OSError as error:
            raise P4InfoError(f"{device_config}: {error.strerror}") from None
        return cls.make(P4Info.from_file(p4info), config)

    def to_proto(self) -> p4runtime_pb2.ForwardingPipelineConfig:
        """The message that sets it."""
        return p4runtime_pb2.ForwardingPipelineConfig(
            p4info=self.info.proto,
            p4_device_config=self.device_config,
            cookie=p4runtime_pb2.ForwardingPipelineConfig.Cookie(cookie=self.cookie),
        )

    @classmethod
    def from_proto(cls, message: p4runtime_pb2.ForwardingPipelineConfig, source: str) -> Pipeline:
        """A pipeline as a switch reports it; raises P4InfoError naming `source` if its P4Info is malformed."""
        return cls(P4Info(message.p4info, source), message.p4_device_config, message.cookie.cookie)
