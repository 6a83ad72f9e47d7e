// Parser and deparser of the v1model program.
#ifndef FABRIC_V1MODEL_PARSER_P4_
#define FABRIC_V1MODEL_PARSER_P4_

@noWarn("uninitialized-use")
parser FabricParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                    inout standard_metadata_t standard_metadata) {
    Frame() frame;

    state start {
        hdr.packet_out.setInvalid();
        transition select(standard_metadata.ingress_port) {
            CPU_PORT : parse_packet_out;
            default  : parse_frame;
        }
    }

    state parse_packet_out {
        packet.extract(hdr.packet_out);
        transition parse_frame;
    }

    state parse_frame {
        frame.apply(packet, hdr, meta);
        transition accept;
    }
}

control FabricDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.link);
        packet.emit(hdr.encap_ipv4);
        packet.emit(hdr.encap_ipv6);
        packet.emit(hdr.encap_udp);
        packet.emit(hdr.encap_tunnel);
        packet.emit(hdr.encap_ethernet);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.scale_up);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.udp);
        packet.emit(hdr.ports);
        packet.emit(hdr.bth);
        packet.emit(hdr.tunnel);
        packet.emit(hdr.inner_ethernet);
        packet.emit(hdr.inner_scale_up);
        packet.emit(hdr.inner_ipv4);
        packet.emit(hdr.inner_ipv6);
        packet.emit(hdr.inner_udp);
        packet.emit(hdr.inner_ports);
        packet.emit(hdr.inner_bth);
        packet.emit(hdr.incc);
        packet.emit(hdr.incc_values);
    }
}

#endif  // FABRIC_V1MODEL_PARSER_P4_
