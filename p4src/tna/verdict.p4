// verdict: what becomes of a packet, once every stage has said what it objects to and what it wishes. The first line that
// fits decides; the lines are in the order of the stages, so that the reason is the one that v1model's program gives.
#ifndef FABRIC_TNA_VERDICT_P4_
#define FABRIC_TNA_VERDICT_P4_

control Verdict(inout metadata_t meta) {
    action drop(drop_reason_t reason) {
        meta.verdict = verdict_t.DROP;
        meta.drop_reason = reason;
    }

    action drop_negative() {
        meta.verdict = verdict_t.DROP;
        meta.drop_reason = meta.negative;
    }

    action punt(punt_reason_t reason) {
        meta.verdict = verdict_t.PUNT;
        meta.punt_reason = reason;
        meta.encapsulate = false;
    }

    action replicate() {
        meta.verdict = verdict_t.REPLICATE;
    }

    action forward() {
        meta.verdict = verdict_t.FORWARD;
    }

    @hidden
    table verdict {
        key = {
            meta.objections.UNKNOWN_PORT        : ternary;
            meta.fault                          : ternary;
            meta.payload.ttl                    : ternary;
            meta.objections.ECN_NOT_CAPABLE     : ternary;
            meta.objections.NO_INSTANCE_ID      : ternary;
            meta.objections.SPOOFED_SOURCE      : ternary;
            meta.objections.FOREIGN_INSTANCE_ID : ternary;
            meta.objections.INSTANCE_LIMITED    : ternary;
            meta.objections.UNSUPPORTED_PAYLOAD : ternary;
            meta.objections.SPLIT_HORIZON       : ternary;
            meta.objections.UNKNOWN_DESTINATION : ternary;
            meta.punt_unknown                   : ternary;
            meta.objections.NEGATIVE            : ternary;
            meta.encapsulate                    : ternary;
            meta.wishes.REPLICATE               : ternary;
            meta.objections.CANNOT_CARRY        : ternary;
            meta.wishes.HAS_NO_RLOC             : ternary;
            meta.excess                         : ternary;
            meta.payload.kind                   : ternary;
            meta.wishes.FORWARD                 : ternary;
        }
        actions = { drop; drop_negative; punt; replicate; forward; }
        const default_action = punt(punt_reason_t.TOO_BIG);
        const entries = {
            (1, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.UNKNOWN_PORT);
            (_, fault_t.MEMBERSHIP, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : punt(punt_reason_t.MEMBERSHIP);
            (_, fault_t.BAD_CHECKSUM, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.BAD_CHECKSUM);
            (_, fault_t.MALFORMED, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.MALFORMED);
            (_, fault_t.UNSUPPORTED_PAYLOAD, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.UNSUPPORTED_PAYLOAD);
            (_, fault_t.TO_LOCAL_RLOC, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : punt(punt_reason_t.TO_LOCAL_RLOC);
            (_, fault_t.NO_INSTANCE_ID, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.NO_INSTANCE_ID);
            (_, _, 0 &&& 0xFE, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.TTL_EXPIRED);
            (_, _, _, 1, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.ECN_NOT_CAPABLE);
            (_, _, _, _, 1, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.NO_INSTANCE_ID);
            (_, _, _, _, _, 1, _, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.SPOOFED_SOURCE);
            (_, _, _, _, _, _, 1, _, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.FOREIGN_INSTANCE_ID);
            (_, _, _, _, _, _, _, 1, _, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.INSTANCE_LIMITED);
            (_, _, _, _, _, _, _, _, 1, _, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.UNSUPPORTED_PAYLOAD);
            (_, _, _, _, _, _, _, _, _, 1, _, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.SPLIT_HORIZON);
            (_, _, _, _, _, _, _, _, _, _, 1, true, _, _, _, _, _, _, _, _) : punt(punt_reason_t.UNKNOWN_DESTINATION);
            (_, _, _, _, _, _, _, _, _, _, 1, _, _, _, _, _, _, _, _, _) : drop(drop_reason_t.UNKNOWN_DESTINATION);
            (_, _, _, _, _, _, _, _, _, _, _, _, 1, _, _, _, _, _, _, _) : drop_negative();
            (_, _, _, _, _, _, _, _, _, _, _, _, _, true, _, 1, _, _, _, _) : drop(drop_reason_t.UNSUPPORTED_PAYLOAD);
            (_, _, _, _, _, _, _, _, _, _, _, _, _, _, 1, 1, _, _, _, _) : drop(drop_reason_t.UNSUPPORTED_PAYLOAD);
            (_, _, _, _, _, _, _, _, _, _, _, _, _, _, 1, _, _, _, _, _) : replicate();
            (_, _, _, _, _, _, _, _, _, _, _, _, _, true, _, _, 0, _, _, _) : drop(drop_reason_t.NO_RLOC);
            (_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, 0, _, 1) : forward();
            (_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, 0, _, _) : drop(drop_reason_t.NO_UNDERLAY_ROUTE);
            (_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, payload_kind_t.SCALE_UP, _) : drop(drop_reason_t.TOO_BIG);
        }
        size = 32;
    }

    apply {
        verdict.apply();
    }
}

#endif  // FABRIC_TNA_VERDICT_P4_
