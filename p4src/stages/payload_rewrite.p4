// payload_rewrite (egress): what a router does to the packet it forwards. A packet on its way to the controller keeps the
// TTL it arrived with, for it will come back to be forwarded; one that is for the router itself is not touched at all.
#ifndef FABRIC_PAYLOAD_REWRITE_P4_
#define FABRIC_PAYLOAD_REWRITE_P4_

control PayloadRewrite(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.verdict == verdict_t.FORWARD || meta.verdict == verdict_t.REPLICATE) {
            meta.payload.ttl = meta.payload.ttl - 1;
        }
        if (!meta.payload_found) {
            return;
        }
        if (meta.terminated) {
            if (hdr.inner_ipv4.isValid()) {
                hdr.inner_ipv4.ttl = meta.payload.ttl;
                hdr.inner_ipv4.dscp = meta.payload.dscp;
                hdr.inner_ipv4.ecn = meta.payload.ecn;
            } else if (hdr.inner_ipv6.isValid()) {
                hdr.inner_ipv6.hop_limit = meta.payload.ttl;
                hdr.inner_ipv6.dscp = meta.payload.dscp;
                hdr.inner_ipv6.ecn = meta.payload.ecn;
            } else {
                hdr.inner_scale_up.hop_limit = meta.payload.ttl;
                hdr.inner_scale_up.ecn = meta.payload.ecn;
            }
        } else if (hdr.ipv4.isValid()) {
            hdr.ipv4.ttl = meta.payload.ttl;
        } else if (hdr.ipv6.isValid()) {
            hdr.ipv6.hop_limit = meta.payload.ttl;
        } else {
            hdr.scale_up.hop_limit = meta.payload.ttl;
        }
    }
}

#endif  // FABRIC_PAYLOAD_REWRITE_P4_
