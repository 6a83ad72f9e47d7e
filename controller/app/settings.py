"""What configuration files of processes have in common: how they are read, keys, and EIDs.

Fields have the names that they have in the machines' configurations, so that whatever a machine refuses is found again
in the file, with its line.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Literal, NoReturn, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from controller.app.yaml_source import FileError, Path_, place, read_yaml
from controller.lisp import Algorithm, DistinguishedName, Eid, EncodeError, Key
from controller.mapping.machine import ConfigError

log = logging.getLogger(__name__)

ALGORITHMS = {
    "hmac-sha1-96": Algorithm.HMAC_SHA1_96,
    "hmac-sha256-128": Algorithm.HMAC_SHA256_128,
    "hmac-sha256-128-hkdf": Algorithm.HMAC_SHA256_128_HKDF,
}

# One error for what is neither, instead of one for each IP version.
Address = Annotated[IPv4Address | IPv6Address, BeforeValidator(lambda value: ip_address(str(value)))]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(lambda value: ip_network(str(value)))]
InstanceIdNumber = Annotated[int, Field(ge=0, le=0xFFFFFF)]
XtrIdText = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32}$")]


class Settings(BaseModel):
    """Base of all sections: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


class KeySettings(Settings):
    """A pre-shared key. The secret is in a file or an environment variable, and nowhere else.

    `secret_file` is relative to the configuration file; a line end at its end does not count.
    """

    id: Annotated[int, Field(ge=0, le=255)] = 1
    algorithm: Literal["hmac-sha1-96", "hmac-sha256-128", "hmac-sha256-128-hkdf"] = "hmac-sha256-128-hkdf"
    secret_file: Path | None = None
    secret_env: str | None = None

    _sources: ClassVar[tuple[str, ...]] = ("secret_file", "secret_env")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(getattr(self, name) is not None for name in self._sources) != 1:
            *others, last = self._sources
            raise ValueError(f"exactly one of {', '.join(others)} and {last} is needed")
        return self

    def key(self, folder: Path) -> Key:
        """The key. Raises ValueError, without the secret, when it cannot be had."""
        return Key(self.id, ALGORITHMS[self.algorithm], self._secret(folder))

    def _secret(self, folder: Path) -> bytes:
        if self.secret_env is not None:
            value = os.environ.get(self.secret_env)
            if not value:
                raise ValueError(f"environment variable {self.secret_env} is not set")
            return value.encode()
        assert self.secret_file is not None
        file = folder / self.secret_file
        try:
            secret = file.read_bytes().rstrip(b"\r\n")
            if file.stat().st_mode & stat.S_IROTH:
                log.warning("%s can be read by everybody", file)
        except OSError as error:
            raise ValueError(f"{file}: {error.strerror}") from None
        if not secret:
            raise ValueError(f"{file} is empty")
        return secret


class EidSettings(Settings):
    """An EID: an instance-ID (0 for none) with a prefix or with a distinguished name."""

    iid: InstanceIdNumber = 0
    prefix: Network | None = None
    name: Annotated[str, Field(min_length=1, max_length=30)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> EidSettings:
        if (self.prefix is None) == (self.name is None):
            raise ValueError("exactly one of prefix and name is needed")
        self.eid()
        return self

    def eid(self) -> Eid:
        """The EID."""
        if self.prefix is not None:
            return Eid(self.iid, self.prefix)
        assert self.name is not None
        return Eid(self.iid, DistinguishedName(self.name))


@dataclass(frozen=True, slots=True)
class ConfigurationFile(Generic[SettingsT]):
    """A file that was read: its settings, and where in it each of them stands."""

    path: Path
    settings: SettingsT
    lines: dict[Path_, int]

    @property
    def folder(self) -> Path:
        """What paths in the file are relative to."""
        return self.path.parent

    def keys(self, settings: tuple[KeySettings, ...], *at: str | int) -> tuple[Key, ...]:
        """The keys of a section that stands `at` a path. Raises FileError."""
        found = []
        for index, one in enumerate(settings):
            try:
                found.append(one.key(self.folder))
            except (ValueError, EncodeError) as error:
                self.refuse((*at, index), str(error))
        return tuple(found)

    def refuse(self, at: Path_, reason: str) -> NoReturn:
        """Raise FileError for the field at a path."""
        raise FileError(f"{place(self.path, self.lines, at)}: {reason}")

    def refuse_config(self, error: ConfigError) -> NoReturn:
        """Raise FileError for what a machine refuses."""
        at = tuple(int(part) if part.isdigit() else part for part in re.findall(r"\w+", error.place))
        self.refuse(at, f"{error.value}: {error.reason}")


def read(path: Path, model: type[SettingsT]) -> ConfigurationFile[SettingsT]:
    """Read a configuration file. Raises FileError, which names file, line and field of each mistake."""
    data, lines = read_yaml(path)
    if not isinstance(data, dict):
        raise FileError(f"{place(path, lines, ())}: a mapping of fields is needed, not {type(data).__name__}")
    try:
        return ConfigurationFile(path, model.model_validate(data), lines)
    except ValidationError as error:
        raise FileError(
            "\n".join(
                f"{place(path, lines, tuple(detail['loc']))}{_shown(detail['loc'], detail['input'])}: {detail['msg']}"
                for detail in error.errors()
            )
        ) from None


def _shown(loc: tuple[int | str, ...], value: object) -> str:
    """The value of a field; not of a section, and not of a key, whose owner may have written the secret there."""
    if isinstance(value, (dict, list, tuple)) or "keys" in loc:
        return ""
    return f" = {value!r}"
