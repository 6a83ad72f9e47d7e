// collective_group: is the destination a group that this switch combines contributions for (docs/incc.md)? If not, the
// packet is one like any other, and the map-cache says where it goes.
#ifndef FABRIC_COLLECTIVE_GROUP_P4_
#define FABRIC_COLLECTIVE_GROUP_P4_

control CollectiveGroup(inout headers_t hdr, inout metadata_t meta) {
    DIRECT_COUNTER(collective_counter)

    // `group` and `generation` have to be the packet's. Slot s of the group is slot first_slot + s of the switch.
    // `everyone`: the set of all children; `replicas`: the multicast group that makes a copy for each.
    action collective_root(bit<16> group, bit<8> generation, bit<16> first_slot, bit<16> slots, child_set_t everyone,
                           group_id_t replicas) {
        COUNT_DIRECT(collective_counter)
        BEGIN_ORDER(hdr)
        meta.collective.outcome = collective_outcome_t.VISIT;
        GROUP_ENTRY(hdr, meta).group = group;
        GROUP_ENTRY(hdr, meta).generation = generation;
        GROUP_ENTRY(hdr, meta).first_slot = first_slot;
        GROUP_ENTRY(hdr, meta).slots = slots;
        SET_EVERYONE(hdr, meta, everyone)
        SET_REPLICAS(hdr, meta, replicas)
        meta.collective.root = true;
    }

    // The same on a switch that contributes, under its own rank, to the one whose RLOC is `parent`.
    action collective_branch(bit<16> group, bit<8> generation, bit<16> first_slot, bit<16> slots, child_set_t everyone,
                             group_id_t replicas, bit<16> rank, ipv4_addr_t parent, ipv4_addr_t source_rloc) {
        COUNT_DIRECT(collective_counter)
        BEGIN_ORDER(hdr)
        meta.collective.outcome = collective_outcome_t.VISIT;
        GROUP_ENTRY(hdr, meta).group = group;
        GROUP_ENTRY(hdr, meta).generation = generation;
        GROUP_ENTRY(hdr, meta).first_slot = first_slot;
        GROUP_ENTRY(hdr, meta).slots = slots;
        SET_EVERYONE(hdr, meta, everyone)
        SET_REPLICAS(hdr, meta, replicas)
        SET_RANK(hdr, meta, rank)
        PARENT_RLOC(meta) = (eid_t) parent;
        SOURCE_TO_PARENT(meta) = (eid_t) source_rloc;
    }

    action collective_branch_ipv6(bit<16> group, bit<8> generation, bit<16> first_slot, bit<16> slots,
                                  child_set_t everyone, group_id_t replicas, bit<16> rank, ipv6_addr_t parent,
                                  ipv6_addr_t source_rloc) {
        COUNT_DIRECT(collective_counter)
        BEGIN_ORDER(hdr)
        meta.collective.outcome = collective_outcome_t.VISIT;
        GROUP_ENTRY(hdr, meta).group = group;
        GROUP_ENTRY(hdr, meta).generation = generation;
        GROUP_ENTRY(hdr, meta).first_slot = first_slot;
        GROUP_ENTRY(hdr, meta).slots = slots;
        SET_EVERYONE(hdr, meta, everyone)
        SET_REPLICAS(hdr, meta, replicas)
        SET_RANK(hdr, meta, rank)
        PARENT_IS_IPV6(meta) = true;
        PARENT_RLOC(meta) = parent;
        SOURCE_TO_PARENT(meta) = source_rloc;
    }

    // Filled by the group manager, as are contributor and collective_copy. It reads the limits of the program in P4Info:
    // here (ipv6: whether groups may have IPv6 EIDs), and the children of a switch from the width of `everyone`.
    @incc[values=COLLECTIVE_VALUES, slots=COLLECTIVE_SLOTS, ipv6=COLLECTIVE_IPV6]
    table collective {
        key = {
            meta.iid          : exact @name("iid");
            meta.payload.kind : exact @name("kind");
            meta.payload.dst  : exact @name("eid");
        }
        actions = { collective_root; collective_branch; collective_branch_ipv6; @defaultonly NoAction; }
        const default_action = NoAction();
        counters = collective_counter;
        size = COLLECTIVE_GROUPS;
    }

    apply {
        // The controller clears cells while no group has them: to it a slot is any cell of the switch.
        if (meta.from_cpu && hdr.incc.isValid() && hdr.incc.kind == collective_kind_t.CLEAR) {
            BEGIN_ORDER(hdr)
            meta.collective.outcome = collective_outcome_t.CLEAR;
        } else {
            collective.apply();
        }
    }
}

#endif  // FABRIC_COLLECTIVE_GROUP_P4_
