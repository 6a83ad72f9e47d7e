// payload: finds the IP packet that is being forwarded, and the flow it belongs to. On an access port that is the
// outermost packet, behind a terminated tunnel the inner one, on the underlay the tunnel packet itself; the stages
// after this one need not know which.
#ifndef FABRIC_PAYLOAD_P4_
#define FABRIC_PAYLOAD_P4_

control Payload(inout headers_t hdr, inout metadata_t meta) {
    FLOW_HASH(flow_hash)

    apply {
        if (meta.terminated) {
            meta.payload.src = hdr.inner_ipv4.src;
            meta.payload.dst = hdr.inner_ipv4.dst;
            meta.payload.protocol = hdr.inner_ipv4.protocol;
            meta.payload.total_len = hdr.inner_ipv4.total_len;
            meta.payload.dscp = hdr.ipv4.dscp;
            // RFC 9300 section 5.3: the smaller TTL survives; ECN was settled by tunnel_termination.
            meta.payload.ttl = hdr.inner_ipv4.ttl;
            if (hdr.ipv4.ttl < hdr.inner_ipv4.ttl) {
                meta.payload.ttl = hdr.ipv4.ttl;
            }
            if (hdr.inner_ports.isValid()) {
                meta.payload.src_port = hdr.inner_ports.src_port;
                meta.payload.dst_port = hdr.inner_ports.dst_port;
            }
        } else {
            meta.payload.src = hdr.ipv4.src;
            meta.payload.dst = hdr.ipv4.dst;
            meta.payload.protocol = hdr.ipv4.protocol;
            meta.payload.total_len = hdr.ipv4.total_len;
            meta.payload.dscp = hdr.ipv4.dscp;
            meta.payload.ecn = hdr.ipv4.ecn;
            meta.payload.ttl = hdr.ipv4.ttl;
            if (hdr.udp.isValid()) {
                meta.payload.src_port = hdr.udp.src_port;
                meta.payload.dst_port = hdr.udp.dst_port;
            } else if (hdr.ports.isValid()) {
                meta.payload.src_port = hdr.ports.src_port;
                meta.payload.dst_port = hdr.ports.dst_port;
            }
        }
        meta.payload_found = true;
        if (meta.payload.ttl <= 1) {
            FABRIC_DROP(meta, TTL_EXPIRED)
        }
        FLOW_HASH_GET(flow_hash, meta.payload.hash, meta.payload)
        // Every hop hashes the same flow with the same polynomial. Rotated differently on each switch, the bits that
        // one hop chose by are not the bits the next one chooses by, so that no path is starved.
        FLOW_HASH_ROTATE(meta.payload.hash, meta.hash_rotation)
    }
}

#endif  // FABRIC_PAYLOAD_P4_
