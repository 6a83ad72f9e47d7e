// link (egress): every forwarded packet gets an Ethernet header of the link it leaves on. Received Ethernet headers end
// here, but for that of a Scale-Up frame that is carried whole.
#ifndef FABRIC_LINK_P4_
#define FABRIC_LINK_P4_

control Link(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.payload_found) {
            hdr.link.setValid();
            if (meta.verdict == verdict_t.PUNT) {
                hdr.link.dst = hdr.ethernet.dst;
                hdr.link.src = hdr.ethernet.src;
            } else {
                hdr.link.dst = meta.next_hop_mac;
                hdr.link.src = meta.port_mac;
            }
            if (meta.encapsulate) {
                if (meta.rloc_is_ipv6) {
                    hdr.link.ether_type = ETHERTYPE_IPV6;
                } else {
                    hdr.link.ether_type = ETHERTYPE_IPV4;
                }
            } else if (meta.payload.kind == payload_kind_t.IPV4) {
                hdr.link.ether_type = ETHERTYPE_IPV4;
            } else if (meta.payload.kind == payload_kind_t.IPV6) {
                hdr.link.ether_type = ETHERTYPE_IPV6;
            } else {
                hdr.link.ether_type = ETHERTYPE_SCALE_UP;
            }

            bool carried = meta.encapsulate && meta.payload.kind == payload_kind_t.SCALE_UP;
            if (meta.terminated || !carried) {
                hdr.ethernet.setInvalid();
            }
            if (meta.terminated && !carried) {
                hdr.inner_ethernet.setInvalid();
            }
        }
    }
}

#endif  // FABRIC_LINK_P4_
