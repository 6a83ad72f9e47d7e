// instance: the Instance-ID's own properties, and the wall between tenants: a packet of an Instance-ID that is
// not configured on this switch goes no further (RFC 9300 section 8).
#ifndef FABRIC_INSTANCE_P4_
#define FABRIC_INSTANCE_P4_

control Instance(inout headers_t hdr, inout metadata_t meta) {
    DIRECT_COUNTER(instance_counter)

    action set_instance(encapsulation_t encapsulation, bit<1> punt_unknown) {
        COUNT_DIRECT(instance_counter)
        meta.encapsulation = encapsulation;
        meta.punt_unknown = (bool) punt_unknown;
    }

    action foreign_instance() {
        COUNT_DIRECT(instance_counter)
        FABRIC_DROP(meta, FOREIGN_INSTANCE_ID)
    }

    // One entry for each Instance-ID of this router's configuration.
    table instance {
        key = { meta.iid : exact @name("iid"); }
        actions = { set_instance; @defaultonly foreign_instance; }
        const default_action = foreign_instance();
        counters = instance_counter;
        size = INSTANCE_SIZE;
    }

    apply {
        instance.apply();
    }
}

#endif  // FABRIC_INSTANCE_P4_
