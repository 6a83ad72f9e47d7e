// port_context: what the ingress port stands for. Everything about a tenant follows from the port, never from a
// field an accelerator could write.
#ifndef FABRIC_PORT_CONTEXT_P4_
#define FABRIC_PORT_CONTEXT_P4_

control PortContext(inout headers_t hdr, inout metadata_t meta) {
    // Properties of the switch itself, in the default action; filled once by the router's control plane.
    action set_switch(hash_rotation_t hash_rotation) {
        meta.hash_rotation = hash_rotation;
    }

    table switch_context {
        key = {}
        actions = { set_switch; }
        default_action = set_switch(0);
        size = 1;
    }

    action set_access(site_id_t site, iid_t scale_out_iid) {
        meta.role = port_role_t.ACCESS;
        meta.site = site;
        meta.scale_out_iid = scale_out_iid;
    }

    action set_core() {
        meta.role = port_role_t.CORE;
    }

    action unknown_port() FABRIC_DROP(meta, UNKNOWN_PORT)

    // One entry for each attached accelerator and each underlay link.
    table port_context {
        key = { meta.ingress_port : exact @name("ingress_port"); }
        actions = { set_access; set_core; @defaultonly unknown_port; }
        const default_action = unknown_port();
        size = PORT_CONTEXT_SIZE;
    }

    apply {
        switch_context.apply();
        if (meta.from_cpu) {
            // The controller resubmits a packet it held back while it resolved the destination.
            meta.role = port_role_t.ACCESS;
            meta.scale_out_iid = hdr.packet_out.iid;
        } else {
            port_context.apply();
        }
    }
}

#endif  // FABRIC_PORT_CONTEXT_P4_
