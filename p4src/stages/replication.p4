// replication: to whom a multicast or broadcast packet goes. The replication engine makes one copy for each receiver of
// the list; the replica stage in egress makes each copy what its receiver needs, or prunes it.
#ifndef FABRIC_REPLICATION_P4_
#define FABRIC_REPLICATION_P4_

// A counter belongs to one table, and so do the actions that count with it.
#define REPLICATE_ACTIONS(TABLE, otherwise)             \
    DIRECT_COUNTER(TABLE##_counter)                     \
                                                        \
    @name(NAME_OF(TABLE.replicate))                     \
    action TABLE##_replicate(group_id_t group) {        \
        COUNT_DIRECT(TABLE##_counter)                   \
        FABRIC_REPLICATE(meta, group)                   \
    }                                                   \
                                                        \
    @name(NAME_OF(TABLE.no_list))                       \
    action TABLE##_no_list() {                          \
        COUNT_DIRECT(TABLE##_counter)                   \
        otherwise                                       \
    }

control Replication(inout headers_t hdr, inout metadata_t meta) {
    REPLICATE_ACTIONS(multicast_source, )
    REPLICATE_ACTIONS(multicast_group, FABRIC_UNKNOWN_DESTINATION(meta))
    REPLICATE_ACTIONS(broadcast, FABRIC_UNKNOWN_DESTINATION(meta))

    // All three are filled from the replication lists that the mapping system has merged (RFC 8378), or that the
    // configuration gives. One source of a group:
    table multicast_source {
        key = {
            meta.iid         : exact @name("iid");
            meta.payload.src : exact @name("source");
            meta.payload.dst : exact @name("group");
        }
        actions = { multicast_source_replicate; @defaultonly multicast_source_no_list; }
        const default_action = multicast_source_no_list();
        counters = multicast_source_counter;
        size = MULTICAST_SOURCE_SIZE;
    }

    // Every other source of a group.
    table multicast_group {
        key = {
            meta.iid         : exact @name("iid");
            meta.payload.dst : exact @name("group");
        }
        actions = { multicast_group_replicate; @defaultonly multicast_group_no_list; }
        const default_action = multicast_group_no_list();
        counters = multicast_group_counter;
        size = MULTICAST_GROUP_SIZE;
    }

    // Everybody in an Instance-ID.
    table broadcast {
        key = { meta.iid : exact @name("iid"); }
        actions = { broadcast_replicate; @defaultonly broadcast_no_list; }
        const default_action = broadcast_no_list();
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
            if (meta.payload.cast == cast_t.BROADCAST) {
                broadcast.apply();
            } else if (!multicast_source.apply().hit) {
                multicast_group.apply();
            }
            if (meta.terminated && meta.site != meta.own_site) {
                home_eid.apply();
            }
        }
    }
}

#endif  // FABRIC_REPLICATION_P4_
