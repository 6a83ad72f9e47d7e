// collective_check: nothing in a packet of a collective is trusted. It has to be whole, of this group and generation,
// from where its rank says, and for a slot of the group's; then it has a cell.
#ifndef FABRIC_COLLECTIVE_CHECK_P4_
#define FABRIC_COLLECTIVE_CHECK_P4_

control CollectiveCheck(inout headers_t hdr, inout metadata_t meta) {
    DIRECT_COUNTER(contributor_counter)

    fabric_port_t port = 0;
    eid_t         rloc = 0;
    bit<16>       udp_length = 0;
    bit<16>       octets = INCC_OCTETS;

    // `child`: a set with this child's one bit. `copy`: its number in collective_copy.
    action admit(child_set_t child, replica_id_t copy) {
        COUNT_DIRECT(contributor_counter)
        meta.collective.child = child;
        meta.collective.replica = copy;
    }

    action not_a_member() {
        COUNT_DIRECT(contributor_counter)
        FABRIC_DROP(meta, NOT_A_MEMBER)
    }

    // Who may contribute under a rank: a member on one port, or a switch behind one RLOC.
    table contributor {
        key = {
            meta.collective.group : exact @name("group");
            hdr.incc.rank         : exact @name("rank");
            port                  : exact @name("port");
            rloc                  : exact @name("rloc");
        }
        actions = { admit; @defaultonly not_a_member; }
        const default_action = not_a_member();
        counters = contributor_counter;
        size = COLLECTIVE_CHILDREN;
    }

    // Lengths that do not agree would put somebody else's octets, or none, in place of values.
    action measure() {
        octets = octets + (hdr.incc_values.isValid() ? INCC_VALUES_OCTETS : 0);
        udp_length = octets + UDP_OCTETS;
    }

    apply {
        measure();
        bool fits;
        if (meta.payload.kind == payload_kind_t.SCALE_UP) {
            fits = meta.payload.total_len == octets + SCALE_UP_OCTETS;
        } else {
            bit<16> said = hdr.udp.length;
            bit<16> wanted = udp_length + IPV4_OCTETS;
            if (meta.terminated) {
                said = hdr.inner_udp.length;
            }
            if (meta.payload.kind == payload_kind_t.IPV6) {
                wanted = udp_length + IPV6_OCTETS;
            }
            fits = said == udp_length && meta.payload.total_len == wanted;
        }
        if (meta.terminated) {
            rloc = meta.source_rloc;
        } else {
            port = meta.ingress_port;
        }

        if (!hdr.incc.isValid() || hdr.incc.version != COLLECTIVE_VERSION || !fits
            || (hdr.incc.flags & COLLECTIVE_EMPTY == 0 && !hdr.incc_values.isValid())
            || hdr.incc.operation > collective_operation_t.XOR || hdr.incc.kind > collective_kind_t.CLEAR) {
            FABRIC_DROP(meta, MALFORMED)
        } else if (meta.collective.outcome == collective_outcome_t.CLEAR) {
            meta.collective.cell = (cell_index_t) hdr.incc.slot;
            if (meta.collective.cell >= COLLECTIVE_CELLS) {
                FABRIC_DROP(meta, BAD_SLOT)
            }
        } else if (hdr.incc.group != meta.collective.group) {
            FABRIC_DROP(meta, NOT_A_MEMBER)
        } else if (hdr.incc.generation != meta.collective.generation) {
            FABRIC_DROP(meta, STALE_GENERATION)
        } else if (hdr.incc.slot >= meta.collective.slots) {
            FABRIC_DROP(meta, BAD_SLOT)
        } else {
            meta.collective.cell =
                (cell_index_t) ((meta.collective.first_slot + hdr.incc.slot) ++ hdr.incc.round[0:0]);
            if (hdr.incc.kind == collective_kind_t.CONTRIBUTION) {
                contributor.apply();
            } else if (hdr.incc.kind == collective_kind_t.CLEAR || meta.collective.root || !meta.terminated
                       || rloc != meta.collective.parent) {
                FABRIC_DROP(meta, NOT_A_MEMBER)
            }
        }
    }
}

#endif  // FABRIC_COLLECTIVE_CHECK_P4_
