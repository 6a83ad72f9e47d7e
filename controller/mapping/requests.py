"""Map-Request: out of its envelope, checked, and sorted into questions and subscriptions (RFC 9301 §8.3)."""

from __future__ import annotations

from controller.lisp import Datagram, DecodeError, Ecm, Endpoint, MapRequest, decode
from controller.mapping.machine import Event, Send, dropped
from controller.mapping.replies import Replier, Request
from controller.mapping.sites import SiteDirectory
from controller.mapping.subscribing import SubscriptionHandler


class RequestHandler:
    """Answers Map-Requests, bare or encapsulated: wire reference 4.2."""

    def __init__(self, sites: SiteDirectory, replier: Replier, subscriptions: SubscriptionHandler) -> None:
        self._sites = sites
        self._replier = replier
        self._subscriptions = subscriptions

    def handle_ecm(self, datagram: Datagram, ecm: Ecm, now: float) -> list[Send | Event]:
        """Take a message out of its Encapsulated Control Message; only Map-Requests come in one."""
        try:
            inner = decode(ecm.payload, self._sites.decode_options(datagram.source.address))
        except DecodeError as error:
            return [dropped(datagram, "malformed", message="ecm", field=error.field, detail=str(error))]
        if not isinstance(inner, MapRequest):
            return [dropped(datagram, "unexpected-message", message=f"ecm.{type(inner).__name__}")]
        source = Endpoint(ecm.source, ecm.source_port)
        return self._handle(Request(datagram, inner, ecm.payload, source), now)

    def handle(self, datagram: Datagram, message: MapRequest, now: float) -> list[Send | Event]:
        """Process a Map-Request that came without envelope."""
        return self._handle(Request(datagram, message, datagram.payload, None), now)

    def _handle(self, request: Request, now: float) -> list[Send | Event]:
        message, outer = request.message, request.outer
        if message.probe:
            return [dropped(outer, "probe-to-map-server", message="map-request", field="P", value=1)]
        if message.smr:
            return [dropped(outer, "smr-to-map-server", message="map-request", field="S", value=1)]
        outputs: list[Send | Event] = []
        for record in message.records:
            subscribes = record.subscribe and message.xtr is not None
            if request.unsubscribes and subscribes:
                outputs += self._subscriptions.end(request, record.key, now)
            elif not request.rlocs:
                outputs.append(dropped(outer, "no-itr-rloc", message="map-request", field="itr-rlocs"))
            elif subscribes:
                outputs += self._subscriptions.begin(request, record, now)
            else:
                outputs += self._replier.answer(request, record, now)
        return outputs
