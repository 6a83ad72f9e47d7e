// The seam between the shared stages and TNA: what v1model/arch.p4 defines for v1model, defined for Tofino.
#ifndef FABRIC_TNA_ARCH_P4_
#define FABRIC_TNA_ARCH_P4_

#if __TARGET_TOFINO__ == 2
#include <t2na.p4>
#else
#include <tna.p4>
#endif

// The port of the PCIe DMA engine, as P4Runtime's packet_in and packet_out use it: 192 with two pipes, 320 with four on
// Tofino 1, 0 on Tofino 2. It is the compiler's to know, since the parser branches on it.
#ifndef CPU_PORT
#if __TARGET_TOFINO__ == 2
#define CPU_PORT 0
#else
#define CPU_PORT 192
#endif
#endif

// Mirror session and type of the sampled copies.
#define SAMPLE_SESSION 1
#define MIRROR_SAMPLE  1

// A meter's answer above the committed and the excess rate.
#define METER_RED 3

// The action has to say that it counts.
#define DIRECT_COUNTER(name) DirectCounter<bit<64>>(CounterType_t.PACKETS_AND_BYTES) name;
#define COUNT_DIRECT(name) name.count();
#define DIRECT_METER(name) DirectMeter(MeterType_t.BYTES) name;
#define READ_METER(name, result) result = (color_t) name.execute();

// Children of one collective: as many as fit beside a round in a pair of 32-bit register cells.
typedef bit<32> child_set_t;

#define RANDOM_SOURCE(name, bits) Random<bit<bits>>() name;
#define RANDOM(name, result, most) result = name.get();

#define SMALLER(number, other) number = min(number, other);

// A barrel shifter by a field is not to be had, but hash functions are: the rotation chooses one of three polynomials,
// whose values tell nothing about each other.
#define FLOW_HASH(name)                                                                                     \
    CRCPolynomial<bit<32>>(32w0x1EDC6F41, true, false, false, 32w0xFFFFFFFF, 32w0xFFFFFFFF) name##_crc32c;  \
    CRCPolynomial<bit<32>>(32w0xA833982B, true, false, false, 32w0xFFFFFFFF, 32w0xFFFFFFFF) name##_crc32d;  \
    Hash<bit<32>>(HashAlgorithm_t.CRC32) name;                                                              \
    Hash<bit<32>>(HashAlgorithm_t.CUSTOM, name##_crc32c) name##_2;                                          \
    Hash<bit<32>>(HashAlgorithm_t.CUSTOM, name##_crc32d) name##_3;                                          \
    FLOW_HASH_ACTION(name, meta.payload.hash, meta.payload)                                                 \
    FLOW_HASH_ACTION(name##_2, meta.payload.hash, meta.payload)                                             \
    FLOW_HASH_ACTION(name##_3, meta.payload.hash, meta.payload)                                             \
    @hidden table choose_hash {                                                                             \
        key = { meta.hash_rotation : ternary; }                                                             \
        actions = { use_##name; use_##name##_2; use_##name##_3; }                                           \
        const default_action = use_##name();                                                                \
        const entries = {                                                                                   \
            4 &&& 0x0C : use_##name##_2();                                                                  \
            8 &&& 0x0C : use_##name##_3();                                                                  \
        }                                                                                                   \
        size = 4;                                                                                           \
    }
#define FLOW_HASH_ACTION(name, result, flow)                                                                \
    action use_##name() {                                                                                   \
        result = name.get({ flow.src, flow.dst, flow.protocol, flow.src_port, flow.dst_port, flow.queue_pair }); \
    }
#define FLOW_HASH_GET(name, result, flow) choose_hash.apply();
#define FLOW_HASH_ROTATE(value, rotation)

#define FLOW_SELECTOR(name, members, max_group, groups)                                    \
    ActionProfile(members) name##_members;                                                 \
    Hash<bit<16>>(HashAlgorithm_t.IDENTITY) name##_hash;                                   \
    ActionSelector(name##_members, name##_hash, SelectorMode_t.FAIR, max_group, groups) name;

// The outermost IPv4 checksum is verified by the parser. Of one behind a tunnel it takes out the words that this router
// may change; the deparser puts the new ones in, so that damage done before this router stays visible.
#define IPV4_CHECKSUMS(verified, remembered) \
    Checksum() verified;                     \
    Checksum() remembered;
#define VERIFY_IPV4(name, header, meta) \
    name.add(header);                   \
    meta.checksum_wrong = name.verify();
#define REMEMBER_IPV4(name, header, meta)                                              \
    name.subtract({ header.checksum });                                                \
    name.subtract({ header.version, header.ihl, header.dscp, header.ecn });            \
    name.subtract({ header.ttl, header.protocol });                                    \
    meta.inner_residual = name.get();

#define ARCHITECTURE_HEADERS \
    bridge_h bridge;         \
    sample_h sample;

#define METADATA_ANNOTATIONS @pa_auto_init_metadata
#define ARCHITECTURE_METADATA       \
    bit<16>         inner_residual; \
    objections_t    objections;     \
    wishes_t        wishes;         \
    drop_reason_t   negative;       \
    MirrorId_t      sample_session;

// What a stage wants to become of the packet. Stages do not wait for each other's verdict: that would cost a stage of the
// chip for each of them. Each raises its objection, and one table decides by the order of the stages: verdict.p4.
#define FABRIC_DROP(meta, why) { meta.objections.why = 1; }
#define FABRIC_DROP_NEGATIVE(meta, reason) { meta.objections.NEGATIVE = 1; meta.negative = reason; }
#define FABRIC_PUNT(meta, why) { meta.wishes.PUNT_##why = 1; }
#define FABRIC_FORWARD(meta) { meta.wishes.FORWARD = 1; }
#define FABRIC_REPLICATE(meta, list) { meta.group = list; meta.wishes.REPLICATE = 1; }
#define FABRIC_UNKNOWN_DESTINATION(meta) { meta.objections.UNKNOWN_DESTINATION = 1; }
#define FABRIC_DROP_UNLESS_RETRACTED(meta, why)
#define FABRIC_RETRACT(meta, why) { meta.wishes.HAS_##why = 1; }

#endif  // FABRIC_TNA_ARCH_P4_
