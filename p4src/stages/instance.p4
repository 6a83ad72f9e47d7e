// instance, instance_rules: the Instance-ID's own properties, and the wall between tenants: a packet of an Instance-ID that is
// not configured on this switch goes no further (RFC 9300 section 8).
#ifndef FABRIC_INSTANCE_P4_
#define FABRIC_INSTANCE_P4_

control Instance(inout headers_t hdr, inout metadata_t meta) {
    DIRECT_COUNTER(instance_counter)
    DIRECT_METER(instance_meter)

    // `sample_share`: of 65 536 packets so many have a copy sent to the controller.
    action set_instance(domain_t domain, encapsulation_t encapsulation, bit<1> punt_unknown, spray_t spray,
                        bit<16> sample_share) {
        COUNT_DIRECT(instance_counter)
        READ_METER(instance_meter, meta.color)
        meta.domain = domain;
        meta.encapsulation = encapsulation;
        meta.punt_unknown = (bool) punt_unknown;
        meta.spray = spray;
        meta.sample_share = sample_share;
    }

    action foreign_instance() {
        COUNT_DIRECT(instance_counter)
        READ_METER(instance_meter, meta.color)
        FABRIC_DROP(meta, FOREIGN_INSTANCE_ID)
    }

    // One entry for each Instance-ID of this router's configuration, with its rate limit, if it has one, in the meter.
    table instance {
        key = { meta.iid : exact @name("iid"); }
        actions = { set_instance; @defaultonly foreign_instance; }
        const default_action = foreign_instance();
        counters = instance_counter;
        meters = instance_meter;
        size = INSTANCE_SIZE;
    }

    apply {
        instance.apply();
    }
}

// What a packet of a configured Instance-ID has to keep to.
control InstanceRules(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (meta.color == METER_RED) {
            FABRIC_DROP(meta, INSTANCE_LIMITED)
        } else if (meta.payload.kind == payload_kind_t.SCALE_UP && meta.domain != domain_t.SCALE_UP) {
            FABRIC_DROP(meta, UNSUPPORTED_PAYLOAD)
        }
    }
}

#endif  // FABRIC_INSTANCE_P4_
