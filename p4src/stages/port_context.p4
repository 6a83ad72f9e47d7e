// port_context: what the ingress port stands for. Everything about a tenant follows from the port, never from a
// field an accelerator could write.
#ifndef FABRIC_PORT_CONTEXT_P4_
#define FABRIC_PORT_CONTEXT_P4_

control PortContext(inout headers_t hdr, inout metadata_t meta) {
    // Properties of the switch itself, in the default action; filled once by the router's control plane. For
    // `punt_window` ticks (1.024 ms) after a punt the same unknown destination is not punted again.
    action set_switch(hash_rotation_t hash_rotation, site_id_t site, tick_t punt_window) {
        meta.hash_rotation = hash_rotation;
        meta.own_site = site;
        meta.punt_window = punt_window;
    }

    table switch_context {
        key = {}
        actions = { set_switch; }
        default_action = set_switch(0, 0, 0);
        size = 1;
    }

    // The Instance-ID of each domain (0: the port has none), and the accelerator's own AccID.
    action set_access(site_id_t site, iid_t scale_out_iid, iid_t scale_up_iid, acc_id_t acc_id) {
        meta.role = port_role_t.ACCESS;
        meta.site = site;
        meta.iid = scale_out_iid;           // the domain stage may decide otherwise
        meta.scale_out_iid = scale_out_iid;
        meta.scale_up_iid = scale_up_iid;
        meta.acc_id = acc_id;
    }

    action set_core() {
        meta.role = port_role_t.CORE;
    }

    action unknown_port() FABRIC_DROP(meta, UNKNOWN_PORT)

    // One entry for each attached accelerator and each underlay link; filled by the router's control plane.
    table port_context {
        key = { PORT_KEY(meta) : exact @name("ingress_port"); }
        actions = { set_access; set_core; @defaultonly unknown_port; }
        const default_action = unknown_port();
        size = PORT_CONTEXT_SIZE;
    }

    apply {
        switch_context.apply();
        if (meta.from_cpu) {
            // The controller resubmits a packet it held back while it resolved the destination.
            TAKE_PACKET_OUT(hdr, meta)
        } else {
            port_context.apply();
        }
    }
}

#endif  // FABRIC_PORT_CONTEXT_P4_
