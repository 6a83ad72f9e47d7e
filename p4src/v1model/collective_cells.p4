// collective_cells: what a switch keeps of a slot's round but for the values, and the decision what a packet does to it.
// Each register is accessed once a packet; the first one decides, the others follow.
//
// An architecture has its own of these two controls, which read the packet, `meta.collective.cell`, `child`, `everyone`
// and `root`, and fill in `visit`, `had_values`, `has_values`, `has_result` and `full`; for every visit but NONE and
// CLEARED the packet's operation, signature and scale become those of the cell.
#ifndef FABRIC_V1MODEL_COLLECTIVE_CELLS_P4_
#define FABRIC_V1MODEL_COLLECTIVE_CELLS_P4_

control CollectiveCells(inout headers_t hdr, inout metadata_t meta) {
    // Round (16 bits), has the result, has values, children that have contributed (64).
    register<bit<82>>(COLLECTIVE_CELLS) collective_rounds;
    // Operation (8 bits) and signature (16): what the slot is for.
    register<bit<24>>(COLLECTIVE_CELLS) collective_purposes;
    register<bit<32>>(COLLECTIVE_CELLS) collective_scales;

    bool joins = false;
    bool first = false;

    // A contribution of a later round takes the cell over, and so does the first one after a clear. What is neither
    // later nor of the same round is earlier: serial numbers (RFC 1982).
    @atomic
    action visit() {
        bit<82> cell;
        collective_rounds.read(cell, meta.collective.cell);
        child_set_t contributed = cell[63:0];
        bool had_result = cell[65:65] == 1;
        meta.collective.had_values = cell[64:64] == 1;

        bit<16> ahead = hdr.incc.round - cell[81:66];
        bool clears = meta.collective.outcome == collective_outcome_t.CLEAR;
        bool contribution = !clears && hdr.incc.kind == collective_kind_t.CONTRIBUTION;
        bool result = !clears && hdr.incc.kind == collective_kind_t.RESULT;
        bool same = ahead == 0;
        bool full = same && contributed == meta.collective.everyone;
        bool known = contributed & meta.collective.child != 0;
        bool takes = contribution && ((same && contributed == 0) || (!same && ahead[15:15] == 0));
        bool adds = contribution && same && contributed != 0 && !known;
        bool reads = contribution && full;
        bool replaces = result && full && !had_result;
        bool has_packet_values = hdr.incc_values.isValid();

        contributed = takes ? meta.collective.child : (adds ? contributed | meta.collective.child : contributed);
        meta.collective.full = contributed == meta.collective.everyone;
        meta.collective.has_values = (takes || replaces) ? has_packet_values
                                     : (meta.collective.had_values || (adds && has_packet_values));
        meta.collective.has_result = replaces || (reads && had_result)
                                     || ((takes || adds) && meta.collective.root && meta.collective.full);
        meta.collective.visit = clears ? collective_visit_t.CLEARED
                                : (takes    ? collective_visit_t.TAKEN
                                : (adds     ? collective_visit_t.ADDED
                                : (replaces ? collective_visit_t.REPLACED
                                : (reads    ? collective_visit_t.READ
                                            : collective_visit_t.NONE))));
        bit<1> has_result = (takes || adds || replaces) ? (bit<1>) meta.collective.has_result : (bit<1>) had_result;
        bit<16> round = takes ? hdr.incc.round : cell[81:66];
        cell = clears ? 0 : round ++ has_result ++ (bit<1>) meta.collective.has_values ++ contributed;
        collective_rounds.write(meta.collective.cell, cell);
        joins = adds;
        first = takes || replaces;
        // Only for the reason why a packet is refused: the round is that of the cell.
        meta.collective.repeated = same && (known || had_result);
    }

    @atomic
    action agree() {
        bit<24> purpose = hdr.incc.operation ++ hdr.incc.signature;
        bit<24> held;
        collective_purposes.read(held, meta.collective.cell);
        hdr.incc.flags = (joins && held != purpose) ? hdr.incc.flags | COLLECTIVE_MISMATCH : hdr.incc.flags;
        held = first ? purpose : held;
        collective_purposes.write(meta.collective.cell, held);
        hdr.incc.operation = (collective_operation_t) held[23:16];
        hdr.incc.signature = held[15:0];
    }

    @atomic
    action raise_scale() {
        bit<32> held;
        collective_scales.read(held, meta.collective.cell);
        held = (first || (joins && (int<32>) hdr.incc.scale > (int<32>) held)) ? hdr.incc.scale : held;
        collective_scales.write(meta.collective.cell, held);
        hdr.incc.scale = held;
    }

    apply {
        visit();
        if (meta.collective.visit != collective_visit_t.NONE && meta.collective.visit != collective_visit_t.CLEARED) {
            agree();
            raise_scale();
        }
    }
}

// Flags of the packets that a cell was made from. After the values, which may add OVERFLOW.
control CollectiveFlags(inout headers_t hdr, inout metadata_t meta) {
    register<bit<8>>(COLLECTIVE_CELLS) collective_flags;

    @atomic
    action gather_flags() {
        bit<8> held;
        collective_flags.read(held, meta.collective.cell);
        bit<8> more = hdr.incc.flags & (COLLECTIVE_OVERFLOW | COLLECTIVE_MISMATCH);
        more = meta.collective.overflow ? more | COLLECTIVE_OVERFLOW : more;
        held = meta.collective.visit == collective_visit_t.READ ? held
               : (meta.collective.visit == collective_visit_t.ADDED ? held | more : more);
        collective_flags.write(meta.collective.cell, held);
        hdr.incc.flags = held;
    }

    apply {
        gather_flags();
    }
}

#endif  // FABRIC_V1MODEL_COLLECTIVE_CELLS_P4_
