// mtu: does the payload fit into the tunnel (RFC 9300 section 7.1)? Applied in ingress to a unicast packet and in egress
// to each copy, after the locator is known. What either version of IP would need is added up before, so that only a
// comparison waits for the locator.
#ifndef FABRIC_MTU_P4_
#define FABRIC_MTU_P4_

// `excess`: octets that are too many.
control Mtu(inout headers_t hdr, inout metadata_t meta, out bit<16> excess) {
    bit<16> overhead_ipv4 = 0;
    bit<16> overhead_ipv6 = 0;
    bit<16> needed_ipv4 = 0;
    bit<16> needed_ipv6 = 0;

    action add_header() {
        needed_ipv4 = meta.payload.total_len |+| IPV4_OCTETS;
        needed_ipv6 = meta.payload.total_len |+| IPV6_OCTETS;
    }

    action add_tunnel() {
        needed_ipv4 = needed_ipv4 |+| meta.tunnel.octets;
        needed_ipv6 = needed_ipv6 |+| meta.tunnel.octets;
        overhead_ipv4 = meta.tunnel.octets + IPV4_OCTETS;
        overhead_ipv6 = meta.tunnel.octets + IPV6_OCTETS;
    }

    action compare_ipv4() {
        excess = needed_ipv4 |-| meta.mtu;
        meta.mtu = meta.mtu |-| overhead_ipv4;
    }

    action compare_ipv6() {
        excess = needed_ipv6 |-| meta.mtu;
        meta.mtu = meta.mtu |-| overhead_ipv6;
    }

    apply {
        excess = 0;
        add_header();
        add_tunnel();
        if (meta.rloc_is_ipv6) {
            compare_ipv6();
        } else {
            compare_ipv4();
        }
    }
}

#endif  // FABRIC_MTU_P4_
