// punt_guard: protects the controller, as in v1model/punt_guard.p4, with one stateful ALU.
#ifndef FABRIC_TNA_PUNT_GUARD_P4_
#define FABRIC_TNA_PUNT_GUARD_P4_

control PuntGuard(inout headers_t hdr, inout metadata_t meta) {
    HASH(destination_hash, 32, CRC32)
    HASH(cell_hash, 12, CRC16)

    // What was punted last, by a hash of the destination: signature (16 bits), time in ticks (16 bits).
    REGISTER(punt_filter, 32, 12, PUNT_FILTER_SIZE)

    // Packets to the controller, by ingress port.
    PACKET_METER(punt_meter, 9, PORT_CONTEXT_SIZE)

    bit<32> newest = 0;   // the cell as this packet would write it
    bit<32> oldest = 0;   // the oldest cell that makes this packet a repeat
    bit<1>  repeated = 0;
    bit<8>  color = 0;

    // With the signature above the time, both are compared in one subtraction. A window in which the clock wraps costs a
    // second punt.
    REGISTER_PROGRAM(remember, punt_filter, 32, 12, cell, bit<1>, is_repeat,
        if (cell > oldest && cell <= newest) {
            is_repeat = 1;
        } else {
            cell = newest;
            is_repeat = 0;
        }
    )

    action sign() {
        HASH_PART(destination_hash, newest, 31, 16, { meta.iid, meta.payload.kind, meta.payload.dst })
        newest[15:0] = meta.now;
    }

    action look_back() {
        oldest = newest - (bit<32>) meta.punt_window;
    }

    action look_up() {
        REGISTER_RUN(remember, repeated, cell_hash, { meta.iid, meta.payload.kind, meta.payload.dst })
    }

    action measure() {
        MEASURE(punt_meter, color, meta.ingress_port[8:0])
    }

    action suppress() {
        meta.verdict = verdict_t.DROP;
        meta.drop_reason = drop_reason_t.PUNT_SUPPRESSED;
    }

    action limit() {
        meta.verdict = verdict_t.DROP;
        meta.drop_reason = drop_reason_t.PUNT_LIMITED;
    }

    apply {
        if (meta.objections.UNKNOWN_DESTINATION == 1) {
            sign();
            look_back();
        }
        if (meta.verdict == verdict_t.PUNT) {
            if (meta.punt_reason == punt_reason_t.UNKNOWN_DESTINATION && meta.punt_window != 0) {
                look_up();
            }
            measure();
            if (repeated == 1) {
                suppress();
            } else if (color == METER_RED) {
                limit();
            }
        }
    }
}

#endif  // FABRIC_TNA_PUNT_GUARD_P4_
