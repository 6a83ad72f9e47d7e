// domain: Scale-Up or Scale-Out? For what an accelerator sends this follows from the destination alone (draft section
// 1): an AccID is an accelerator of the own PoD, an IP address may be. Behind a tunnel the Instance-ID tells.
#ifndef FABRIC_DOMAIN_P4_
#define FABRIC_DOMAIN_P4_

control Domain(inout headers_t hdr, inout metadata_t meta) {
    action in_own_pod() {
        meta.iid = meta.scale_up_iid;
    }

    // IP subnets of the own PoD that Scale-Up serves (draft section 5.5.5); filled from the configuration.
    table scale_up_prefix {
        key = {
            meta.scale_up_iid : exact @name("iid");
            meta.payload.kind : exact @name("kind");
            meta.payload.dst  : lpm   @name("eid");
        }
        actions = { in_own_pod; @defaultonly NoAction; }
        const default_action = NoAction();
        size = SCALE_UP_PREFIX_SIZE;
    }

    apply {
        if (meta.payload.kind == payload_kind_t.SCALE_UP) {
            meta.iid = meta.scale_up_iid;
            if (meta.scale_up_iid == 0) {
                FABRIC_DROP(meta, NO_INSTANCE_ID)
            } else if (meta.payload.src[31:0] != meta.acc_id) {
                FABRIC_DROP(meta, SPOOFED_SOURCE)
            }
        } else {
            scale_up_prefix.apply();
        }
    }
}

#endif  // FABRIC_DOMAIN_P4_
