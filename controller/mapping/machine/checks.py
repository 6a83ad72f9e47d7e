"""Refusing a configuration: one error that says where, what and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from controller.lisp import Key, Profile
from controller.lisp.constants import MAX_INSTANCE_ID, UNFRAGMENTED_IPV4, UNFRAGMENTED_IPV6


class ConfigError(ValueError):
    """A configuration is not usable: names the `place`, the `value` found there and the `reason`."""

    def __init__(self, place: str, value: object, reason: str) -> None:
        super().__init__(place, value, reason)
        self.place = place
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place} = {self.value}: {self.reason}"


class StoreError(Exception):
    """A store could not be read, or could not make changes durable."""


def fail(place: str, value: object, reason: str) -> NoReturn:
    """Raise the ConfigError."""
    raise ConfigError(place, value, reason)


def check_profile_keys(place: str, keys: Iterable[Key], profile: Profile) -> None:
    """Each key has to be one that the peers of a profile can use."""
    for index, key in enumerate(keys):
        problem = profile.problem_of(key)
        if problem is not None:
            fail(f"{place}[{index}]", f"key {key.key_id}", problem)


def check_iid(place: str, iid: int) -> None:
    """An instance-ID has 24 bits (choice C12)."""
    if not 0 <= iid <= MAX_INSTANCE_ID:
        fail(place, iid, "an instance-ID has 24 bits")


def check_unique(place: str, values: Iterable[object]) -> None:
    """No value may be there twice."""
    seen: set[object] = set()
    for value in values:
        if value in seen:
            fail(place, value, "is there twice")
        seen.add(value)


def check_path_mtu(path_mtu: int | None, version: int) -> None:
    """A path MTU below what every path of that IP version has is a mistake (RFC 9301 §5)."""
    smallest = UNFRAGMENTED_IPV4 if version == 4 else UNFRAGMENTED_IPV6
    if path_mtu is not None and path_mtu < smallest:
        fail("path_mtu", path_mtu, f"must be at least {smallest}")
