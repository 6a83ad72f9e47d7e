// punt_guard: protects the controller, as in v1model/punt_guard.p4, with one stateful ALU.
#ifndef FABRIC_TNA_PUNT_GUARD_P4_
#define FABRIC_TNA_PUNT_GUARD_P4_

control PuntGuard(inout headers_t hdr, inout metadata_t meta) {
    Hash<bit<32>>(HashAlgorithm_t.CRC32) destination_hash;
    Hash<bit<12>>(HashAlgorithm_t.CRC16) cell_hash;

    // What was punted last, by a hash of the destination: signature (16 bits), time in ticks (16 bits).
    Register<bit<32>, bit<12>>(PUNT_FILTER_SIZE, 0) punt_filter;

    // Packets to the controller, by ingress port.
    Meter<bit<9>>(PORT_CONTEXT_SIZE, MeterType_t.PACKETS) punt_meter;

    bit<32> newest = 0;   // the cell as this packet would write it
    bit<32> oldest = 0;   // the oldest cell that makes this packet a repeat
    bit<1>  repeated = 0;
    bit<8>  color = 0;

    // With the signature above the time, both are compared in one subtraction. A window in which the clock wraps costs a
    // second punt.
    RegisterAction<bit<32>, bit<12>, bit<1>>(punt_filter) remember = {
        void apply(inout bit<32> cell, out bit<1> is_repeat) {
            if (cell > oldest && cell <= newest) {
                is_repeat = 1;
            } else {
                cell = newest;
                is_repeat = 0;
            }
        }
    };

    action sign() {
        newest[31:16] = destination_hash.get({ meta.iid, meta.payload.kind, meta.payload.dst })[31:16];
        newest[15:0] = meta.now;
    }

    action look_back() {
        oldest = newest - (bit<32>) meta.punt_window;
    }

    action look_up() {
        repeated = remember.execute(cell_hash.get({ meta.iid, meta.payload.kind, meta.payload.dst }));
    }

    action measure() {
        color = punt_meter.execute(meta.ingress_port[8:0]);
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
        sign();
        look_back();
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
