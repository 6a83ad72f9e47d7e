// decapsulation (egress): removes the tunnel that tunnel_termination ended.
#ifndef FABRIC_DECAPSULATION_P4_
#define FABRIC_DECAPSULATION_P4_

control Decapsulation(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.terminated) {
            hdr.ipv4.setInvalid();
            hdr.ipv6.setInvalid();
            hdr.udp.setInvalid();
            hdr.tunnel.setInvalid();
        }
    }
}

#endif  // FABRIC_DECAPSULATION_P4_
