// payload_rewrite: as stages/payload_rewrite.p4, in two parts. What has come out of a tunnel gets its TTL and class before
// the verdict; whatever is forwarded, counts its own TTL down after it. So headers have nothing to do with each other.
#ifndef FABRIC_TNA_PAYLOAD_REWRITE_P4_
#define FABRIC_TNA_PAYLOAD_REWRITE_P4_

control InnerRewrite(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.terminated) {
            if (hdr.inner_ipv4.isValid()) {
                hdr.inner_ipv4.ttl = meta.payload.ttl;
                hdr.inner_ipv4.dscp = meta.traffic_class[7:2];
                hdr.inner_ipv4.ecn = meta.traffic_class[1:0];
            } else if (hdr.inner_ipv6.isValid()) {
                hdr.inner_ipv6.hop_limit = meta.payload.ttl;
                hdr.inner_ipv6.dscp = meta.traffic_class[7:2];
                hdr.inner_ipv6.ecn = meta.traffic_class[1:0];
            } else {
                hdr.inner_scale_up.hop_limit = meta.payload.ttl;
                hdr.inner_scale_up.ecn = meta.traffic_class[1:0];
            }
        }
    }
}

control PayloadRewrite(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.verdict == verdict_t.FORWARD || meta.verdict == verdict_t.REPLICATE) {
            meta.payload.ttl = meta.payload.ttl - 1;
            if (meta.terminated) {
                if (hdr.inner_ipv4.isValid()) {
                    hdr.inner_ipv4.ttl = hdr.inner_ipv4.ttl - 1;
                } else if (hdr.inner_ipv6.isValid()) {
                    hdr.inner_ipv6.hop_limit = hdr.inner_ipv6.hop_limit - 1;
                } else {
                    hdr.inner_scale_up.hop_limit = hdr.inner_scale_up.hop_limit - 1;
                }
            } else if (hdr.ipv4.isValid()) {
                hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
                meta.rewritten = 1;
            } else if (hdr.ipv6.isValid()) {
                hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
            } else {
                hdr.scale_up.hop_limit = hdr.scale_up.hop_limit - 1;
            }
        }
    }
}

#endif  // FABRIC_TNA_PAYLOAD_REWRITE_P4_
