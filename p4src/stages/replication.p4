// replication: to whom a multicast or broadcast packet goes. The replication engine makes one copy for each receiver of
// the list; the replica stage in egress makes each copy what its receiver needs, or prunes it.
#ifndef FABRIC_REPLICATION_P4_
#define FABRIC_REPLICATION_P4_

control Replication(inout headers_t hdr, inout metadata_t meta) {
    DIRECT_COUNTER(multicast_source_counter)
    DIRECT_COUNTER(multicast_group_counter)
    DIRECT_COUNTER(broadcast_counter)

    action replicate(group_id_t group) {
        meta.group = group;
        meta.verdict = verdict_t.REPLICATE;
    }

    // All three are filled from the replication lists that the mapping system has merged (RFC 8378), or that the
    // configuration gives. One source of a group:
    table multicast_source {
        key = {
            meta.iid         : exact @name("iid");
            meta.payload.src : exact @name("source");
            meta.payload.dst : exact @name("group");
        }
        actions = { replicate; @defaultonly NoAction; }
        const default_action = NoAction();
        counters = multicast_source_counter;
        size = MULTICAST_SOURCE_SIZE;
    }

    // Every other source of a group.
    table multicast_group {
        key = {
            meta.iid         : exact @name("iid");
            meta.payload.dst : exact @name("group");
        }
        actions = { replicate; @defaultonly NoAction; }
        const default_action = NoAction();
        counters = multicast_group_counter;
        size = MULTICAST_GROUP_SIZE;
    }

    // Everybody in an Instance-ID.
    table broadcast {
        key = { meta.iid : exact @name("iid"); }
        actions = { replicate; @defaultonly NoAction; }
        const default_action = NoAction();
        counters = broadcast_counter;
        size = BROADCAST_SIZE;
    }

    action from_home() FABRIC_DROP(meta, SPLIT_HORIZON)

    // The EID-prefixes of the own PoD: what one of them sent must not come back from the fabric (draft section 6.3).
    table home_eid {
        key = {
            meta.iid          : exact @name("iid");
            meta.payload.kind : exact @name("kind");
            meta.payload.src  : lpm   @name("eid");
        }
        actions = { from_home; @defaultonly NoAction; }
        const default_action = NoAction();
        size = HOME_EID_SIZE;
    }

    apply {
        if (meta.payload.cast == cast_t.LINK_LOCAL) {
            FABRIC_DROP(meta, UNSUPPORTED_PAYLOAD)
        } else {
            if (meta.terminated && meta.site != meta.own_site) {
                home_eid.apply();
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                if (meta.payload.cast == cast_t.BROADCAST) {
                    broadcast.apply();
                } else if (!multicast_source.apply().hit) {
                    multicast_group.apply();
                }
            }
            if (meta.verdict == verdict_t.UNDECIDED) {
                FABRIC_DROP(meta, UNKNOWN_DESTINATION)
                if (meta.punt_unknown) {
                    FABRIC_PUNT(meta, UNKNOWN_DESTINATION)
                }
            }
        }
    }
}

#endif  // FABRIC_REPLICATION_P4_
