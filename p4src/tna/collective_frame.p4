// What stands behind the bridge header of a packet of a collective, from the work order to the result: the header of the
// link that it came in on, and the packet itself, taken out of its tunnel, up to its values. A parser within parsers.
#ifndef FABRIC_TNA_COLLECTIVE_FRAME_P4_
#define FABRIC_TNA_COLLECTIVE_FRAME_P4_

parser CollectiveFrame(packet_in packet, inout headers_t hdr, in payload_kind_t kind) {
    state start {
        packet.extract(hdr.ethernet);
        transition select(kind) {
            payload_kind_t.SCALE_UP : parse_scale_up;
#if COLLECTIVE_IPV6
            payload_kind_t.IPV6     : parse_ipv6;
#endif
            default                 : parse_ipv4;
        }
    }

    state parse_scale_up {
        packet.extract(hdr.scale_up);
        transition parse_incc;
    }

    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        transition parse_udp;
    }

#if COLLECTIVE_IPV6
    state parse_ipv6 {
        packet.extract(hdr.ipv6);
        transition parse_udp;
    }
#endif

    state parse_udp {
        packet.extract(hdr.udp);
        transition parse_incc;
    }

    state parse_incc {
        packet.extract(hdr.incc);
        transition accept;
    }
}

#endif  // FABRIC_TNA_COLLECTIVE_FRAME_P4_
