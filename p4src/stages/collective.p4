// collective: combines a packet with the cell of its slot and round, and decides where what comes of it goes. For an
// architecture that can do all that in one pass.
#ifndef FABRIC_COLLECTIVE_P4_
#define FABRIC_COLLECTIVE_P4_

control Collective(inout headers_t hdr, inout metadata_t meta) {
    CollectiveCells()   cells;
    CollectiveValues()  values;
    CollectiveFlags()   gathered;
    CollectiveOutcome() outcome;

    apply {
        cells.apply(hdr, meta);
        if (meta.collective.visit != collective_visit_t.CLEARED && meta.collective.visit != collective_visit_t.NONE) {
            values.apply(hdr, meta);
            gathered.apply(hdr, meta);
        }
        outcome.apply(hdr, meta);
    }
}

#endif  // FABRIC_COLLECTIVE_P4_
