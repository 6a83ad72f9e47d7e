// IPv4 header checksums of the v1model program.
//
// The outermost received header is verified, and computed anew if it was rewritten. A header behind a tunnel is
// somebody else's: it is neither judged nor computed anew, only adjusted by what this router changed in it (RFC 1624),
// so that damage done before this router stays visible to the receiver.
#ifndef FABRIC_V1MODEL_CHECKSUMS_P4_
#define FABRIC_V1MODEL_CHECKSUMS_P4_

#define IPV4_CHECKSUM_FIELDS(ip)                                                              \
    { ip.version, ip.ihl, ip.dscp, ip.ecn, ip.total_len, ip.identification, ip.flags,         \
      ip.frag_offset, ip.ttl, ip.protocol, ip.src, ip.dst }

control FabricVerifyChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(hdr.ipv4.isValid() && hdr.ipv4.ihl == 5, IPV4_CHECKSUM_FIELDS(hdr.ipv4),
                        hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control FabricComputeChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.encap_ipv4.isValid(), IPV4_CHECKSUM_FIELDS(hdr.encap_ipv4),
                        hdr.encap_ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(hdr.ipv4.isValid() && meta.payload_found, IPV4_CHECKSUM_FIELDS(hdr.ipv4),
                        hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

// Applied around payload_rewrite: the words that it may change, before and after.
control InnerChecksum(inout headers_t hdr, in bit<16> old_tos_word, in bit<16> old_ttl_word) {
    apply {
        bit<16> tos_word = hdr.inner_ipv4.version ++ hdr.inner_ipv4.ihl ++ hdr.inner_ipv4.dscp ++ hdr.inner_ipv4.ecn;
        bit<16> ttl_word = hdr.inner_ipv4.ttl ++ hdr.inner_ipv4.protocol;
        // RFC 1624 equation 3 over both words: HC' = ~(~HC + ~m + m'), in one's complement.
        bit<32> sum = (bit<32>) ~hdr.inner_ipv4.checksum + (bit<32>) ~old_tos_word + (bit<32>) tos_word
                      + (bit<32>) ~old_ttl_word + (bit<32>) ttl_word;
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        hdr.inner_ipv4.checksum = ~sum[15:0];
    }
}

#endif  // FABRIC_V1MODEL_CHECKSUMS_P4_
