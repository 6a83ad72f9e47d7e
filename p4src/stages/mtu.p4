// mtu: does the payload fit into the tunnel (RFC 9300 section 7.1)? Applied in ingress to a unicast packet and in egress
// to each copy, after the locator is known.
#ifndef FABRIC_MTU_P4_
#define FABRIC_MTU_P4_

control Mtu(inout headers_t hdr, inout metadata_t meta, out bool too_big) {
    apply {
        bit<16> overhead;
        if (meta.rloc_is_ipv6) {
            overhead = meta.tunnel.octets + IPV6_OCTETS;
        } else {
            overhead = meta.tunnel.octets + IPV4_OCTETS;
        }
        meta.mtu = meta.mtu |-| overhead;
        too_big = (meta.payload.total_len |-| meta.mtu) != 0;
    }
}

#endif  // FABRIC_MTU_P4_
