// spray: packets of an Instance-ID that are spread one by one, not flow by flow.
#ifndef FABRIC_SPRAY_P4_
#define FABRIC_SPRAY_P4_

control Spray(inout headers_t hdr, inout metadata_t meta) {
    RANDOM_SOURCE(random_hash, 32)
    OTHER_FLOW_HASHES(flow_hash)

    apply {
        if (meta.spray == spray_t.EVERY || (meta.spray == spray_t.TOLERANT && meta.payload.reorder)) {
            // Any hash will do, for entropy, RLOC and path alike.
            RANDOM(random_hash, meta.payload.hash, 32w0xFFFFFFFF)
        } else {
            FLOW_HASH_CHOOSE(flow_hash)
        }
    }
}

#endif  // FABRIC_SPRAY_P4_
