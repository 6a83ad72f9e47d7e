// What arch.p4 of TNA defines by objects of the chip, defined by those of v1model. Everything else of arch.p4 stays as it
// is: the parser that copies fields, the bridge, objections and wishes.
#ifndef FABRIC_ON_V1MODEL_SEAM_P4_
#define FABRIC_ON_V1MODEL_SEAM_P4_

// The main program fills intrinsic metadata; no octets of it are in front of a packet.
#undef  PARSED
#define PARSED inout
#undef  EXTRACT_INTRINSIC
#define EXTRACT_INTRINSIC(packet, header)
#undef  SKIP_PORT_METADATA
#define SKIP_PORT_METADATA(packet)
#undef  SAMPLE_MIRROR
#define SAMPLE_MIRROR(name) Mirror() name;

#undef  METADATA_ANNOTATIONS
#define METADATA_ANNOTATIONS

#undef  METER_RED
#define METER_RED 2

#undef  DIRECT_COUNTER
#define DIRECT_COUNTER(name) direct_counter(CounterType.packets_and_bytes) name;
#undef  COUNT_DIRECT
#define COUNT_DIRECT(name)
#undef  INDEXED_COUNTER
#define INDEXED_COUNTER(name, index, size) counter(size, CounterType.packets_and_bytes) name;
#undef  COUNT_AT
#define COUNT_AT(name, number) name.count((bit<32>) (bit<8>) number);
#undef  DIRECT_METER
#define DIRECT_METER(name) direct_meter<color_t>(MeterType.bytes) name;
#undef  READ_METER
#define READ_METER(name, result) name.read(result);
#undef  PACKET_METER
#define PACKET_METER(name, index_bits, size) meter(size, MeterType.packets) name;
#undef  MEASURE
#define MEASURE(name, color, number) name.execute_meter((bit<32>) number, color);

#undef  RANDOM_SOURCE
#define RANDOM_SOURCE(name, bits)
#undef  RANDOM
#define RANDOM(name, result, most) random(result, 0, most);

#undef  SMALLER
#define SMALLER(number, other) if (other < number) { number = other; }

// v1model has one CRC of 32 bits; rotated, it stands for the other two.
#undef  FLOW_HASH
#define FLOW_HASH(name)                                                                                     \
    FLOW_HASH_ACTION(name, meta.payload.hash, meta.payload, 0)
#undef  OTHER_FLOW_HASHES
#define OTHER_FLOW_HASHES(name)                                                                             \
    FLOW_HASH_ACTION(name##_2, meta.payload.hash, meta.payload, 11)                                         \
    FLOW_HASH_ACTION(name##_3, meta.payload.hash, meta.payload, 22)
#undef  FLOW_HASH_ACTION
#define FLOW_HASH_ACTION(name, result, flow, turn)                                                          \
    action use_##name() {                                                                                   \
        hash(result, HashAlgorithm.crc32, 32w0,                                                             \
             { flow.src, flow.dst, flow.protocol, flow.src_port, flow.dst_port, flow.queue_pair },          \
             33w0x100000000);                                                                               \
        result = (result << turn) | (result >> (32 - turn));                                                \
    }
#undef  HASH
#define HASH(name, bits, algorithm)
#undef  HASH_PART
#define HASH_PART(name, result, high, low, ...)                                                             \
    bit<32> name;                                                                                           \
    hash(name, HashAlgorithm.crc32, 32w0, __VA_ARGS__, 33w0x100000000);                                     \
    result[high:low] = name[high:low];

#undef  REGISTER
#define REGISTER(name, bits, index_bits, size) register<bit<bits>>(size) name;
#undef  REGISTER_PROGRAM
#define REGISTER_PROGRAM(name, of, bits, index_bits, cell, answer_type, answer, ...)                        \
    @atomic action name(in bit<32> place, out answer_type answer) {                                         \
        bit<bits> cell;                                                                                     \
        of.read(cell, place);                                                                               \
        __VA_ARGS__                                                                                         \
        of.write(place, cell);                                                                              \
    }
#undef  REGISTER_RUN
#define REGISTER_RUN(name, answer, hash_name, ...)                                                          \
    bit<32> hash_name;                                                                                      \
    hash(hash_name, HashAlgorithm.crc16, 32w0, __VA_ARGS__, 33w0x1000);                                     \
    name(hash_name, answer);

#undef  FLOW_SELECTOR
#define FLOW_SELECTOR(name, members, max_group, groups) \
    @max_group_size(max_group) action_selector(HashAlgorithm.crc16, members, 16) name;

// v1model verifies and computes checksums in controls of their own. What the parser of the chip remembers of an inner
// header is the sum, in one's complement, of the complements of what it subtracts.
#undef  IPV4_CHECKSUMS
#define IPV4_CHECKSUMS(verified, remembered)
#undef  VERIFY_IPV4
#define VERIFY_IPV4(name, header, meta)
#undef  REMEMBER_IPV4
#define REMEMBER_IPV4(name, header, meta)                                                                   \
    bit<32> name = (bit<32>) ~header.checksum                                                               \
                   + (bit<32>) ~(header.version ++ header.ihl ++ header.dscp ++ header.ecn)                 \
                   + (bit<32>) ~(header.ttl ++ header.protocol);                                            \
    name = (name & 0xFFFF) + (name >> 16);                                                                  \
    name = (name & 0xFFFF) + (name >> 16);                                                                  \
    meta.inner_residual = name[15:0];

#endif  // FABRIC_ON_V1MODEL_SEAM_P4_
