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
// The compiler wants the type said twice for Tofino 2, and cannot bear it for Tofino 1.
#if __TARGET_TOFINO__ == 2
#define SAMPLE_MIRROR(name) Mirror(MIRROR_SAMPLE) name;
#else
#define SAMPLE_MIRROR(name) Mirror() name;
#endif

// A meter's answer above the committed and the excess rate.
#define METER_RED 3

// The action has to say that it counts. Bits of an octet counter on the chip: 64, or 36 and 28 of its packets, of which a
// block of SRAM holds twice as many; the chip then hands counts to the driver before they overflow, and it adds them up.
#ifndef DIRECT_COUNTER_BITS
#define DIRECT_COUNTER_BITS 64
#endif
#define DIRECT_COUNTER(name) DirectCounter<bit<DIRECT_COUNTER_BITS>>(CounterType_t.PACKETS_AND_BYTES) name;
#define COUNT_DIRECT(name) name.count();
// By number.
#define INDEXED_COUNTER(name, index, size) Counter<bit<64>, index>(size, CounterType_t.PACKETS_AND_BYTES) name;
#define COUNT_AT(name, number) name.count(number);

#define DIRECT_METER(name) DirectMeter(MeterType_t.BYTES) name;
#define READ_METER(name, result) result = (color_t) name.execute();

// Children of one collective: a register cell has 32 bits, and one of them is for something else.
typedef bit<31> child_set_t;

#define RANDOM_SOURCE(name, bits) Random<bit<bits>>() name;
#define RANDOM(name, result, most) result = name.get();

#define HASH(name, bits, algorithm) Hash<bit<bits>>(HashAlgorithm_t.algorithm) name;
#define HASH_PART(name, result, high, low, ...) result[high:low] = name.get(__VA_ARGS__)[high:low];

// A register, and a program that a packet may run on the cell that a hash chooses: a body over the cell and what it tells
// the packet.
#define REGISTER(name, bits, index_bits, size) Register<bit<bits>, bit<index_bits>>(size, 0) name;
#define REGISTER_PROGRAM(name, of, bits, index_bits, cell, answer_type, answer, ...)    \
    RegisterAction<bit<bits>, bit<index_bits>, answer_type>(of) name = {                \
        void apply(inout bit<bits> cell, out answer_type answer) { __VA_ARGS__ }        \
    };
#define REGISTER_RUN(name, answer, hash_name, ...) answer = name.execute(hash_name.get(__VA_ARGS__));

#define PACKET_METER(name, index_bits, size) Meter<bit<index_bits>>(size, MeterType_t.PACKETS) name;
#define MEASURE(name, color, number) color = name.execute(number);

#define SMALLER(number, other) number = min(number, other);

// A barrel shifter by a field is not to be had, but hash functions are: the rotation chooses one of three polynomials,
// whose values tell nothing about each other. A stage has two of them at most, so the first is computed for every packet,
// and the others after it.
#define FLOW_HASH(name)                                                                                     \
    Hash<bit<32>>(HashAlgorithm_t.CRC32) name;                                                              \
    FLOW_HASH_ACTION(name, meta.payload.hash, meta.payload)
#define FLOW_HASH_GET(name, result, flow) use_##name();
#define FLOW_HASH_ROTATE(value, rotation)
#define OTHER_FLOW_HASHES(name)                                                                             \
    CRCPolynomial<bit<32>>(32w0x1EDC6F41, true, false, false, 32w0xFFFFFFFF, 32w0xFFFFFFFF) name##_crc32c;  \
    CRCPolynomial<bit<32>>(32w0xA833982B, true, false, false, 32w0xFFFFFFFF, 32w0xFFFFFFFF) name##_crc32d;  \
    Hash<bit<32>>(HashAlgorithm_t.CUSTOM, name##_crc32c) name##_2;                                          \
    Hash<bit<32>>(HashAlgorithm_t.CUSTOM, name##_crc32d) name##_3;                                          \
    FLOW_HASH_ACTION(name##_2, meta.payload.hash, meta.payload)                                             \
    FLOW_HASH_ACTION(name##_3, meta.payload.hash, meta.payload)
#define FLOW_HASH_ACTION(name, result, flow)                                                                \
    action use_##name() {                                                                                   \
        result = name.get({ flow.src, flow.dst, flow.protocol, flow.src_port, flow.dst_port, flow.queue_pair }); \
    }
#define FLOW_HASH_CHOOSE(name)                  \
    if (meta.hash_rotation[3:2] == 1) {         \
        use_##name##_2();                       \
    } else if (meta.hash_rotation[3:2] == 2) {  \
        use_##name##_3();                       \
    }

// Ingress makes the port out of the hash; the label is as much of the hash as the port has.
#define ENTROPY_PORT(meta)  meta.entropy
#define ENTROPY_LABEL(meta) 4w0 ++ meta.entropy

// A condition sees 32 bits, an EID has 128. The difference takes the place of `b`.
#define SAME_EID(name, a, b)                        \
    bool  name##_same = false;                      \
    action name##_compare() {                       \
        b = a ^ b;                                  \
    }                                               \
    action name##_set() {                           \
        name##_same = true;                         \
    }                                               \
    @hidden table name##_check {                    \
        key = { b : ternary; }                      \
        actions = { name##_set; NoAction; }         \
        const default_action = NoAction();          \
        const entries = { 128w0 : name##_set(); }   \
        size = 1;                                   \
    }
#define SAME_EID_GET(name, a, b)                    \
    name##_compare();                               \
    name##_check.apply();

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

// Where the chip puts what it knows of a packet: in front of it.
#define PARSED out
#define EXTRACT_INTRINSIC(packet, header) packet.extract(header);
#define SKIP_PORT_METADATA(packet) packet.advance(PORT_METADATA_SIZE);

// Fields of different headers that one action copies to the same metadata must lie alike in containers, all of them, which
// leaves the compiler nothing to choose. So the parser copies: the outermost packet to meta.payload, the one in a tunnel
// to meta.inner. What does not begin on an octet, it copies as the first word of the header.
#define SEE_FIRST_WORD(packet, word) word = packet.lookahead<bit<16>>();
#define SEE_IPV4(view, ip)              \
    view.kind = payload_kind_t.IPV4;    \
    view.src = (eid_t) ip.src;          \
    view.dst = (eid_t) ip.dst;          \
    view.protocol = ip.protocol;        \
    view.total_len = ip.total_len;      \
    view.ttl = ip.ttl;
#define SEE_IPV6(view, ip)              \
    view.kind = payload_kind_t.IPV6;    \
    view.src = ip.src;                  \
    view.dst = ip.dst;                  \
    view.protocol = ip.next_header;     \
    view.total_len = ip.payload_len;    \
    view.ttl = ip.hop_limit;
#define SEE_SCALE_UP(view, su)          \
    view.kind = payload_kind_t.SCALE_UP;\
    view.src = (eid_t) su.src;          \
    view.dst = (eid_t) su.dst;          \
    view.src_port = su.entropy;         \
    view.total_len = su.length;         \
    view.ttl = su.hop_limit;
#define SEE_PORTS(view, transport)          \
    view.src_port = transport.src_port;     \
    view.dst_port = transport.dst_port;
#define SEE_BTH(view, bth) view.queue_pair = bth.queue_pair;
#define TAKE_OUTER_HEADER
#define TAKE_OUTER(version)
#define TAKE_PACKET_OUT(hdr, meta)
#define OUTER_SOURCE(meta) meta.payload.src
// RFC 9300 section 5.3: the smaller TTL survives, and the outer DSCP.
#define TAKE_INNER(meta)                                \
    meta.payload.kind = meta.inner.kind;                \
    meta.payload.cast = meta.inner.cast;                \
    meta.payload.src = meta.inner.src;                  \
    meta.payload.dst = meta.inner.dst;                  \
    meta.payload.protocol = meta.inner.protocol;        \
    meta.payload.src_port = meta.inner.src_port;        \
    meta.payload.dst_port = meta.inner.dst_port;        \
    meta.payload.queue_pair = meta.inner.queue_pair;    \
    meta.payload.total_len = meta.inner.total_len;      \
    meta.payload.reorder = meta.inner.reorder;          \
    SMALLER(meta.payload.ttl, meta.inner.ttl)

// As wide as the port comes, and copied by the parser.
#define PORT_KEY(meta) meta.port

// Without collectives; with them: collective_seam.p4.
#define UNLESS_CLEAR(hdr, meta, ...) __VA_ARGS__
#define IS_OF_GROUP(meta) false
#define DISCARD_ORDER(hdr)
#define KEEP_PEER(meta)
#define EMIT_ORDER(packet, hdr)
#define EMIT_COLLECTIVE(packet, hdr)
#define EMIT_RESULT(packet, hdr)

#define ARCHITECTURE_HEADERS \
    BRIDGE_HEADERS           \
    sample_h sample;

// What egress reads of a header it deparses must not lie in the buffer that Tofino 2 copies unread headers from: the
// assembler does not find it there.
#ifndef PROFILE_ANNOTATIONS
#define PROFILE_ANNOTATIONS
#endif
#define METADATA_ANNOTATIONS                    \
    PROFILE_ANNOTATIONS                         \
    @pa_auto_init_metadata                      \
    @do_not_use_clot("egress", "hdr.ethernet")  \
    @do_not_use_clot("egress", "hdr.inner_ethernet") \
    BRIDGE_IN_PLACE(BRIDGE_ALIAS)
#define ARCHITECTURE_METADATA       \
    PortId_t        port;           \
    payload_t       inner;          \
    bit<16>         payload_word;   \
    bit<16>         inner_word;     \
    bit<16>         traffic_class;  \
    bit<16>         entropy;        \
    bit<16>         inner_residual; \
    bit<1>          rewritten;      \
    objections_t    objections;     \
    wishes_t        wishes;         \
    drop_reason_t   negative;       \
    fault_t         fault;          \
    bool            sound;          \
    bool            inner_sound;    \
    bit<16>         excess;         \
    MirrorId_t      sample_session;

// What a stage wants to become of the packet. Stages do not wait for each other's verdict: that would cost a stage of the
// chip for each of them. Each raises its objection, and one table decides by the order of the stages: verdict.p4.
#define FABRIC_DROP(meta, why) { meta.objections.why = 1; }
#define FABRIC_DROP_NEGATIVE(meta, reason) { meta.objections.NEGATIVE = 1; meta.negative = reason; }
#define FABRIC_PUNT(meta, why) { meta.wishes.PUNT_##why = 1; }
#define FABRIC_CANNOT_CARRY(meta) { meta.objections.CANNOT_CARRY = 1; }
#define FABRIC_FORWARD(meta) { meta.wishes.FORWARD = 1; }
#define FABRIC_REPLICATE(meta, list) { meta.group = list; meta.wishes.REPLICATE = 1; }
#define FABRIC_UNKNOWN_DESTINATION(meta) { meta.objections.UNKNOWN_DESTINATION = 1; }
#define FABRIC_DROP_UNLESS_RETRACTED(meta, why)
#define FABRIC_RETRACT(meta, why) { meta.wishes.HAS_##why = 1; }

#endif  // FABRIC_TNA_ARCH_P4_
