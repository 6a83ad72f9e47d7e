// packet_in (egress): tells the controller where a punted packet came from and why it is there.
#ifndef FABRIC_PACKET_IN_P4_
#define FABRIC_PACKET_IN_P4_

control PacketIn(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.verdict == verdict_t.PUNT) {
            hdr.packet_in.setValid();
            hdr.packet_in.ingress_port = meta.ingress_port;
            hdr.packet_in.reason = meta.punt_reason;
            hdr.packet_in.iid = meta.iid;
            if (meta.punt_reason == punt_reason_t.TOO_BIG) {
                hdr.packet_in.mtu = meta.mtu;
            } else {
                hdr.packet_in.mtu = 0;
            }
        }
    }
}

#endif  // FABRIC_PACKET_IN_P4_
