// punt_guard: protects the controller. A destination that it has just been told of is not told again while it asks the
// mapping system, and no port can have more than its share of the way to the controller. A destination that has been
// resolved never comes here, so that nothing delays it.
#ifndef FABRIC_V1MODEL_PUNT_GUARD_P4_
#define FABRIC_V1MODEL_PUNT_GUARD_P4_

control PuntGuard(inout headers_t hdr, inout metadata_t meta) {
    // What was punted last, by a hash of the destination: signature (16 bits), time in ticks (16 bits). Destinations
    // that share a cell replace each other and are punted more often, never less.
    register<bit<32>>(PUNT_FILTER_SIZE) punt_filter;

    // Packets to the controller, by ingress port; filled by the router's control plane, all green without.
    meter(PORT_CONTEXT_SIZE, MeterType.packets) punt_meter;

    bit<32> destination = 0;
    bool repeated = false;

    // One access to the register: a repeat within the window leaves the cell as it is, anything else takes it over.
    @atomic
    action remember() {
        bit<32> cell;
        bit<32> index = destination & (PUNT_FILTER_SIZE - 1);
        bit<16> signature = destination[31:16] | 1;  // an untouched cell is nobody's
        punt_filter.read(cell, index);
        repeated = cell[31:16] == signature && meta.now - cell[15:0] < meta.punt_window;
        cell = repeated ? cell : signature ++ meta.now;
        punt_filter.write(index, cell);
    }

    apply {
        if (meta.punt_reason == punt_reason_t.UNKNOWN_DESTINATION && meta.punt_window != 0) {
            hash(destination, HashAlgorithm.crc32, 32w0, { meta.iid, meta.payload.kind, meta.payload.dst },
                 33w0x100000000);
            remember();
        }
        if (repeated) {
            FABRIC_DROP(meta, PUNT_SUPPRESSED)
        } else {
            punt_meter.execute_meter((bit<32>) meta.ingress_port, meta.color);
            if (meta.color == METER_RED) {
                FABRIC_DROP(meta, PUNT_LIMITED)
            }
        }
    }
}

#endif  // FABRIC_V1MODEL_PUNT_GUARD_P4_
