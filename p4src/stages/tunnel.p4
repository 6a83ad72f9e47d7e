// tunnel: how the Instance-ID's encapsulation carries this kind of payload. Plain LISP carries IP only, VXLAN Ethernet
// only; the two GPE encapsulations say what they carry. A Scale-Up frame is carried whole, Ethernet header included.
#ifndef FABRIC_TUNNEL_P4_
#define FABRIC_TUNNEL_P4_

const bit<8> GPE = TUNNEL_FLAG_I | TUNNEL_FLAG_P;

control Tunnel(inout headers_t hdr, inout metadata_t meta) {
    action set_tunnel(bit<16> udp_port, bit<8> flags, bit<8> next_protocol, bit<16> octets, bit<1> carries_frame) {
        meta.tunnel.udp_port = udp_port;
        meta.tunnel.flags = flags;
        meta.tunnel.next_protocol = next_protocol;
        meta.tunnel.octets = octets;
        meta.tunnel.carries_frame = (bool) carries_frame;
    }

    action cannot_carry() FABRIC_CANNOT_CARRY(meta)

    // Constant.
    table tunnel {
        key = {
            meta.encapsulation : exact @name("encapsulation");
            meta.payload.kind  : exact @name("kind");
        }
        actions = { set_tunnel; @defaultonly cannot_carry; }
        const default_action = cannot_carry();
        const entries = {
            (encapsulation_t.LISP, payload_kind_t.IPV4) :
                set_tunnel(UDP_PORT_LISP, TUNNEL_FLAG_I, NEXT_PROTOCOL_NONE, PACKET_TUNNEL_OCTETS, 0);
            (encapsulation_t.LISP, payload_kind_t.IPV6) :
                set_tunnel(UDP_PORT_LISP, TUNNEL_FLAG_I, NEXT_PROTOCOL_NONE, PACKET_TUNNEL_OCTETS, 0);
            (encapsulation_t.LISP_GPE, payload_kind_t.IPV4) :
                set_tunnel(UDP_PORT_LISP, GPE, NEXT_PROTOCOL_IPV4, PACKET_TUNNEL_OCTETS, 0);
            (encapsulation_t.LISP_GPE, payload_kind_t.IPV6) :
                set_tunnel(UDP_PORT_LISP, GPE, NEXT_PROTOCOL_IPV6, PACKET_TUNNEL_OCTETS, 0);
            (encapsulation_t.LISP_GPE, payload_kind_t.SCALE_UP) :
                set_tunnel(UDP_PORT_LISP, GPE, NEXT_PROTOCOL_ETHERNET, FRAME_TUNNEL_OCTETS, 1);
            (encapsulation_t.VXLAN_GPE, payload_kind_t.IPV4) :
                set_tunnel(UDP_PORT_VXLAN_GPE, GPE, NEXT_PROTOCOL_IPV4, PACKET_TUNNEL_OCTETS, 0);
            (encapsulation_t.VXLAN_GPE, payload_kind_t.IPV6) :
                set_tunnel(UDP_PORT_VXLAN_GPE, GPE, NEXT_PROTOCOL_IPV6, PACKET_TUNNEL_OCTETS, 0);
            (encapsulation_t.VXLAN_GPE, payload_kind_t.SCALE_UP) :
                set_tunnel(UDP_PORT_VXLAN_GPE, GPE, NEXT_PROTOCOL_ETHERNET, FRAME_TUNNEL_OCTETS, 1);
            (encapsulation_t.VXLAN, payload_kind_t.IPV4) :
                set_tunnel(UDP_PORT_VXLAN, TUNNEL_FLAG_I, NEXT_PROTOCOL_NONE, FRAME_TUNNEL_OCTETS, 1);
            (encapsulation_t.VXLAN, payload_kind_t.IPV6) :
                set_tunnel(UDP_PORT_VXLAN, TUNNEL_FLAG_I, NEXT_PROTOCOL_NONE, FRAME_TUNNEL_OCTETS, 1);
            (encapsulation_t.VXLAN, payload_kind_t.SCALE_UP) :
                set_tunnel(UDP_PORT_VXLAN, TUNNEL_FLAG_I, NEXT_PROTOCOL_NONE, FRAME_TUNNEL_OCTETS, 1);
        }
    }

    apply {
        tunnel.apply();
        if (meta.tunnel.iid == 0) {
            meta.tunnel.iid = meta.iid;
        }
    }
}

#endif  // FABRIC_TUNNEL_P4_
