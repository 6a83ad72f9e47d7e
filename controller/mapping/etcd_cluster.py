"""Requests to the members of an etcd cluster, through the JSON gateway that each of them has.

A request goes to the member that answered last, and to the others one after the other when it does not answer, all
within a bounded time. So a request may be carried out twice, or later than its error is seen: whoever changes
something has to make that harmless (see `etcd_owner`).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from controller.mapping.store import StoreError

Json: TypeAlias = dict[str, Any]

_DEFAULT_PORT: Final = 2379
_API: Final = "/v3/"  # since etcd 3.4
_PAGE: Final = 1000  # keys in one answer
_READING_SECONDS: Final = 30.0  # for a page
_SYSTEM_ERROR: Final = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")
_ADVICE: Final = {
    "database space exceeded": "compact and defragment etcd, disarm its alarm, and have it compact by itself",
    "user name is empty": "users of etcd are not supported: have etcd ask for certificates (store.certificate_file)",
}


class RefusedError(StoreError):
    """etcd understood the request and did not do it."""


class KeyValue(NamedTuple):
    """A key of etcd with what is kept of it. `created` and `changed` are revisions, `lease` is 0 for none."""

    key: bytes
    value: bytes
    created: int
    changed: int
    lease: int


@dataclass(frozen=True, slots=True)
class Tls:
    """What HTTPS needs: who signs the members' certificates, and our own certificate with its key, if they want one."""

    ca_file: Path
    certificate_file: Path | None = None
    key_file: Path | None = None


class EtcdCluster:
    """The members of a cluster. Not for several threads at once.

    Attributes:
        place: what errors begin with.
    """

    def __init__(self, endpoints: Sequence[str], place: str, tls: Tls | None = None) -> None:
        """`endpoints`: HOST or HOST:PORT. Raises StoreError for one that is not, and without the extra `etcd`."""
        self.place = place
        try:
            from etcd3gw import exceptions
            from etcd3gw.client import Etcd3Client
        except ImportError as error:
            raise StoreError(f"{place}: needs the package etcd3gw: pip install 'lispfabric[etcd]'") from error
        self._failures = exceptions.Etcd3Exception
        self._timeouts = exceptions.ConnectionTimeoutError
        self._clients: list[tuple[str, Any]] = []
        protocol = "http" if tls is None else "https"
        for endpoint in endpoints:
            host, port = split_endpoint(endpoint, place)
            one = Etcd3Client(host, port, protocol, api_path=_API)
            one.session.trust_env = False  # no proxy: a store is near
            if tls is not None:
                one.session.verify = str(tls.ca_file)
                if tls.certificate_file is not None:
                    one.session.cert = (str(tls.certificate_file), str(tls.key_file or tls.certificate_file))
            self._clients.append((endpoint, one))
        if not self._clients:
            raise StoreError(f"{place}: names no member of the cluster")

    def call(self, method: str, body: Json, seconds: float) -> Json:
        """What a member answers. Raises RefusedError, or StoreError when within `seconds` no member answers."""
        share = seconds / len(self._clients)
        reasons = []
        for _ in range(len(self._clients)):
            endpoint, client = self._clients[0]
            client.timeout = share
            try:
                answer = client.post(client.get_url(method), json=body)
                if isinstance(answer, dict) and ("header" in answer or "result" in answer):
                    return answer
                reasons.append(f"{endpoint}: is no etcd 3.4 or later")
            except self._timeouts:
                reasons.append(f"{endpoint}: no answer within {share:g} s")
            except self._failures as error:
                text = str(error.detail_text or error)
                refusal = _refusal(text)
                if refusal is not None:
                    raise RefusedError(f"{self.place}: {refusal}") from error
                reasons.append(f"{endpoint}: {_short(text)}")
            except (OSError, ValueError) as error:  # what requests calls other errors
                reasons.append(f"{endpoint}: is no etcd 3.4 or later: {_short(str(error))}")
            self._clients.append(self._clients.pop(0))
        raise StoreError(f"{self.place}: {'; '.join(reasons)}: is etcd running, with a majority of its members, there?")

    def scan(self, begin: bytes, end: bytes) -> Iterator[KeyValue]:
        """All keys from `begin` to before `end`, in their order. Raises StoreError."""
        while True:
            body = {"key": text(begin), "range_end": text(end), "limit": _PAGE}
            answer = self.call("kv/range", body, _READING_SECONDS)
            found = key_values(answer, self.place)
            yield from found
            if not found or not answer.get("more"):
                return
            begin = found[-1].key + b"\0"

    def close(self) -> None:
        """Close the connections."""
        for _, client in self._clients:
            client.session.close()


def split_endpoint(endpoint: str, place: str) -> tuple[str, int]:
    """Host and port. Raises StoreError."""
    try:
        parts = urlsplit(f"//{endpoint}")
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if host is None or re.search(r"[/?#@\s]", endpoint):
        raise StoreError(f"{place}: {endpoint!r} is not HOST:PORT of a member of an etcd cluster")
    return host, port


def text(octets: bytes | bytearray) -> str:
    """Octets as the gateway wants them."""
    return b64encode(octets).decode()


def put(key: bytes, value: bytes | bytearray, lease: int = 0) -> Json:
    """An operation of a transaction."""
    return {"request_put": {"key": text(key), "value": text(value), "lease": lease}}


def delete(key: bytes, end: bytes = b"") -> Json:
    """An operation of a transaction: delete a key, or all from it to before `end`."""
    return {"request_delete_range": {"key": text(key), "range_end": text(end)}}


def get(key: bytes) -> Json:
    """An operation of a transaction."""
    return {"request_range": {"key": text(key)}}


def number_in(answer: Json, place: str, *path: str) -> int:
    """A number in an answer. Raises StoreError."""
    found: Any = answer
    try:
        for name in path:
            found = found[name]
        return int(found)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{place}: an answer is not etcd's: {error!r}") from error


def key_values(answer: Json, place: str) -> list[KeyValue]:
    """The keys in an answer. Raises StoreError."""
    try:
        return [
            KeyValue(
                b64decode(one["key"]),
                b64decode(one.get("value", "")),
                int(one["create_revision"]),
                int(one["mod_revision"]),
                int(one.get("lease", 0)),
            )
            for one in answer.get("kvs", ())
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{place}: an answer is not etcd's: {error!r}") from error


def _refusal(answer: str) -> str | None:
    """What etcd says when asking another member would not help, with advice."""
    found = re.search(r'"error":\s*"([^"]+)"', answer)
    said = found[1] if found else ""
    codes = re.search(r'"code":\s*(\d+)', answer)
    if not said or (codes and codes[1] in ("4", "14")):  # deadline exceeded, unavailable: no leader, a member stops
        return None
    for part, advice in _ADVICE.items():
        if part in said:
            return f"{said}: {advice}"
    return said


def _short(reason: str) -> str:
    found = _SYSTEM_ERROR.search(reason)
    return found[1] if found else reason[:200]
