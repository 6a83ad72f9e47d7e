// collective_check: nothing in a packet of a collective is trusted. It has to be whole, of this group and generation,
// from where its rank says, and for a slot of the group's; then it has a cell.
#ifndef FABRIC_COLLECTIVE_CHECK_P4_
#define FABRIC_COLLECTIVE_CHECK_P4_

#define WITHOUT_VALUES COLLECTIVE_EMPTY &&& COLLECTIVE_EMPTY
#define WITH_VALUES    0 &&& COLLECTIVE_EMPTY

#define EACH_OPERATION(kind)                                                 \
    (COLLECTIVE_VERSION, kind, collective_operation_t.SUM)     : NoAction(); \
    (COLLECTIVE_VERSION, kind, collective_operation_t.MINIMUM) : NoAction(); \
    (COLLECTIVE_VERSION, kind, collective_operation_t.MAXIMUM) : NoAction(); \
    (COLLECTIVE_VERSION, kind, collective_operation_t.AND)     : NoAction(); \
    (COLLECTIVE_VERSION, kind, collective_operation_t.OR)      : NoAction(); \
    (COLLECTIVE_VERSION, kind, collective_operation_t.XOR)     : NoAction();

control CollectiveCheck(inout headers_t hdr, inout metadata_t meta) {
    DIRECT_COUNTER(contributor_counter)

    fabric_port_t port = 0;
    PEER_VARIABLE                   // where the packet comes from, behind a tunnel
    bit<16>       udp_length = 0;
    bit<16>       slot = 0;         // of the switch
    bit<16>       slots_left = 0;   // of the group, from the packet's on

    // `child`: a set with this child's one bit. `copy`: its number in collective_copy.
    action admit(child_set_t child, replica_id_t copy) {
        COUNT_DIRECT(contributor_counter)
        SET_CHILD(hdr, meta, child)
        meta.collective.replica = copy;
    }

    action not_a_member() {
        COUNT_DIRECT(contributor_counter)
        FABRIC_DROP_COLLECTIVE(meta, NOT_A_MEMBER)
    }

    // Who may contribute under a rank: a member on one port, or a switch behind one RLOC.
    table contributor {
        key = {
            GROUP_ENTRY(hdr, meta).group : exact @name("group");
            hdr.incc.rank                : exact @name("rank");
            port                         : exact @name("port");
            PEER                         : exact @name("rloc");
        }
        actions = { admit; @defaultonly not_a_member; }
        const default_action = not_a_member();
        counters = contributor_counter;
        size = COLLECTIVE_CHILDREN;
    }

    // Versions, kinds and operations that there are. Constant.
    table collective_header {
        key = {
            hdr.incc.version   : exact @name("version");
            hdr.incc.kind      : exact @name("kind");
            hdr.incc.operation : exact @name("operation");
        }
        actions = { NoAction; }
        const default_action = NoAction();
        const entries = {
            EACH_OPERATION(collective_kind_t.CONTRIBUTION)
            EACH_OPERATION(collective_kind_t.RESULT)
            EACH_OPERATION(collective_kind_t.CLEAR)
        }
        size = 18;
    }

    // Lengths that do not agree would put somebody else's octets, or none, in place of values. Constant.
    table collective_length {
        key = {
            meta.payload.kind      : exact   @name("kind");
            hdr.incc.flags         : ternary @name("flags");
            meta.payload.total_len : exact   @name("total_len");
            udp_length             : ternary @name("udp_length");
        }
        actions = { NoAction; }
        const default_action = NoAction();
        const entries = {
            (payload_kind_t.SCALE_UP, WITHOUT_VALUES, SCALE_UP_OCTETS + INCC_OCTETS, _)                  : NoAction();
            (payload_kind_t.SCALE_UP, WITH_VALUES, SCALE_UP_OCTETS + INCC_OCTETS + INCC_VALUES_OCTETS, _) : NoAction();
            (payload_kind_t.IPV4, WITHOUT_VALUES, IPV4_OCTETS + EMPTY_UDP_OCTETS, EMPTY_UDP_OCTETS)      : NoAction();
            (payload_kind_t.IPV4, WITH_VALUES, IPV4_OCTETS + FULL_UDP_OCTETS, FULL_UDP_OCTETS)           : NoAction();
            (payload_kind_t.IPV6, WITHOUT_VALUES, IPV6_OCTETS + EMPTY_UDP_OCTETS, EMPTY_UDP_OCTETS)      : NoAction();
            (payload_kind_t.IPV6, WITH_VALUES, IPV6_OCTETS + FULL_UDP_OCTETS, FULL_UDP_OCTETS)           : NoAction();
        }
        size = 8;
    }

    // Constant.
    table from_parent {
        key = { PEER : exact @name("difference"); }
        actions = { NoAction; }
        const default_action = NoAction();
        const entries = { 0 : NoAction(); }
        size = 1;
    }

    action measure() {
        slots_left = GROUP_ENTRY(hdr, meta).slots |-| hdr.incc.slot;
        slot = GROUP_ENTRY(hdr, meta).first_slot + hdr.incc.slot;
    }

    action compare() {
        PEER = PEER ^ PARENT_OF_PACKET(hdr, meta);
    }

    apply {
        measure();
        if (CAME_BY_TUNNEL(hdr, meta)) {
            TAKE_PEER(hdr, meta)
            udp_length = UDP_OF_TUNNEL(hdr).length;
        } else {
            NO_PEER
            port = PORT_OF_ARRIVAL(hdr, meta);
            udp_length = hdr.udp.length;
        }

        if (!hdr.incc.isValid() || VALUES_ARE_CUT_OFF(hdr)) {
            FABRIC_DROP_COLLECTIVE(meta, MALFORMED)
        } else if (!collective_header.apply().hit) {
            FABRIC_DROP_COLLECTIVE(meta, MALFORMED)
        } else if (!collective_length.apply().hit) {
            FABRIC_DROP_COLLECTIVE(meta, MALFORMED)
        } else if (IS_CLEAR(hdr, meta)) {
            SET_CELL(hdr, meta, hdr.incc.slot)
            if (hdr.incc.slot & 16w0xFFFF - (COLLECTIVE_CELLS - 1) != 0) {
                FABRIC_DROP_COLLECTIVE(meta, BAD_SLOT)
            }
        } else if (hdr.incc.group != GROUP_ENTRY(hdr, meta).group) {
            FABRIC_DROP_COLLECTIVE(meta, NOT_A_MEMBER)
        } else if (hdr.incc.generation != GROUP_ENTRY(hdr, meta).generation) {
            FABRIC_DROP_COLLECTIVE(meta, STALE_GENERATION)
        } else if (slots_left == 0) {
            FABRIC_DROP_COLLECTIVE(meta, BAD_SLOT)
        } else {
            SET_CELL(hdr, meta, slot[14:0] ++ hdr.incc.round[0:0])
            if (hdr.incc.kind == collective_kind_t.CONTRIBUTION) {
                contributor.apply();
            } else if (hdr.incc.kind == collective_kind_t.CLEAR || IS_ROOT(hdr, meta) || !CAME_BY_TUNNEL(hdr, meta)) {
                FABRIC_DROP_COLLECTIVE(meta, NOT_A_MEMBER)
            } else {
                compare();
                if (!from_parent.apply().hit) {
                    FABRIC_DROP_COLLECTIVE(meta, NOT_A_MEMBER)
                }
            }
        }
    }
}

#endif  // FABRIC_COLLECTIVE_CHECK_P4_
