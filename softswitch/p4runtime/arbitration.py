"""Client arbitration: who may write (specification section "Client Arbitration and Controller Replication").

A plain state machine, one per device. Each role has its own clients and its own primary: the client whose election id
was at least the highest ever seen for the role when it announced it. When the primary leaves or steps down there is
none until a client announces an id at least as high; a backup is never promoted by the switch itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from softswitch.p4runtime.errors import Code, P4RuntimeError, failed_precondition, invalid_argument, resource_exhausted
from softswitch.p4runtime.roles import RoleConfig

MAX_CLIENTS_PER_ROLE: Final = 16

ClientT = TypeVar("ClientT", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Notice(Generic[ClientT]):
    """What one client is to be told.

    Attributes:
        client: whom to tell.
        role: the role's name, "" for the default role.
        election_id: the highest election id ever seen for the role, None if there was none.
        config: that of the role's latest primary.
        code: OK to the primary; to a backup ALREADY_EXISTS if there is a primary and NOT_FOUND if there is none.
    """

    client: ClientT
    role: str
    election_id: int | None
    code: Code
    config: RoleConfig | None = None


@dataclass(slots=True)
class _Role(Generic[ClientT]):
    clients: dict[ClientT, int | None] = field(default_factory=dict)
    primary: ClientT | None = None
    config: RoleConfig | None = None
    highest: int | None = None


class Arbitration(Generic[ClientT]):
    """The clients of one device, by role. Election ids are unsigned 128-bit integers; None means unset."""

    def __init__(self) -> None:
        self._roles: dict[str, _Role[ClientT]] = {"": _Role()}
        self._role_of: dict[ClientT, str] = {}

    def announce(
        self, client: ClientT, role: str, election_id: int | None, config: RoleConfig | None = None
    ) -> list[Notice[ClientT]]:
        """A client announces itself, or announces another election id; the configuration counts if it is primary.

        Returns:
            Whom to tell what, in this order; a new primary hears last, when every other client knows of it.

        Raises:
            P4RuntimeError: the client's stream has to be closed with this error (and `leave` be called).
        """
        current = self._role_of.get(client)
        if current is not None and current != role:
            raise failed_precondition(f"this stream's role is {current!r}; open another stream for role {role!r}")
        members = self._roles.setdefault(role, _Role())
        if election_id is not None and any(
            other != client and known == election_id for other, known in members.clients.items()
        ):
            raise invalid_argument(f"election id {election_id} is in use by another client of role {role!r}")
        if config is not None:
            for name, others in self._roles.items():
                if name != role and others.clients and others.config is not None:
                    config.check_beside(others.config, name)
        if current is None and len(members.clients) >= MAX_CLIENTS_PER_ROLE:
            raise resource_exhausted(f"role {role!r} has {MAX_CLIENTS_PER_ROLE} clients already")

        was_primary = members.primary == client
        members.clients[client] = election_id
        self._role_of[client] = role
        if election_id is not None and (members.highest is None or election_id >= members.highest):
            members.primary, members.highest, members.config = client, election_id, config
        elif was_primary:
            members.primary = None
        else:
            return [self._notice(role, client)]
        return self._notices(role)

    def leave(self, client: ClientT) -> list[Notice[ClientT]]:
        """A client's stream has closed; returns whom to tell that there is no primary any more."""
        role = self._role_of.pop(client, None)
        if role is None:
            return []
        members = self._roles[role]
        del members.clients[client]
        if members.primary != client:
            return []
        members.primary = None
        return self._notices(role)

    def check_primary(self, role: str, election_id: int | None) -> None:
        """Lets a request of the role's primary pass.

        Raises:
            P4RuntimeError: NOT_FOUND for a role that no client ever announced; PERMISSION_DENIED if the election id
                is not that of the role's connected primary.
        """
        members = self._roles.get(role)
        if members is None:
            raise P4RuntimeError(Code.NOT_FOUND, f"no client has ever announced role {role!r}")
        if members.primary is None:
            raise P4RuntimeError(Code.PERMISSION_DENIED, f"role {role!r} has no primary client")
        if election_id is None or members.clients[members.primary] != election_id:
            raise P4RuntimeError(
                Code.PERMISSION_DENIED,
                f"election id {election_id} is not that of the primary client of role {role!r}",
            )

    def is_primary(self, client: ClientT) -> bool:
        """Whether the client is the primary of its role."""
        role = self._role_of.get(client)
        return role is not None and self._roles[role].primary == client

    def config(self, role: str) -> RoleConfig | None:
        """The configuration of a role, None for full pipeline access.

        Raises:
            P4RuntimeError: NOT_FOUND for a role that no client ever announced.
        """
        members = self._roles.get(role)
        if members is None:
            raise P4RuntimeError(Code.NOT_FOUND, f"no client has ever announced role {role!r}")
        return members.config

    def primaries(self) -> Iterator[tuple[ClientT, RoleConfig | None]]:
        """The primary of every role that has one, and the role's configuration, None for full pipeline access."""
        for members in self._roles.values():
            if members.primary is not None:
                yield members.primary, members.config

    def _notices(self, role: str) -> list[Notice[ClientT]]:
        members = self._roles[role]
        backups = [client for client in members.clients if client != members.primary]
        primary = [] if members.primary is None else [members.primary]
        return [self._notice(role, client) for client in backups + primary]

    def _notice(self, role: str, client: ClientT) -> Notice[ClientT]:
        members = self._roles[role]
        if members.primary is None:
            code = Code.NOT_FOUND
        else:
            code = Code.OK if client == members.primary else Code.ALREADY_EXISTS
        return Notice(client, role, members.highest, code, members.config)
