// Registers, counters, meters, hashes, random numbers.
#include <core.p4>
#include <v1model.p4>

header command_t {
    bit<8>  op;
    bit<8>  index;
    bit<32> value;
}

struct headers_t {
    command_t command;
}

struct metadata_t {
    bit<2> color;
}

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(headers.command);
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) { apply { } }

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    register<bit<24>>(8) cells;
    counter(8, CounterType.packets_and_bytes) counts;
    meter(8, MeterType.packets) packet_meter;
    meter(8, MeterType.bytes) byte_meter;
    direct_meter<bit<2>>(MeterType.packets) entry_meter;

    action accumulate() {
        bit<24> old;
        cells.read(old, (bit<32>)headers.command.index);
        old = old + (bit<24>)headers.command.value;
        cells.write((bit<32>)headers.command.index, old);
        headers.command.value = (bit<32>)old;
    }
    action metered() {
        entry_meter.read(meta.color);
    }
    table by_index {
        key = { headers.command.index: exact; }
        actions = { metered; }
        meters = entry_meter;
    }

    apply {
        standard.egress_spec = 1;
        bit<8> op = headers.command.op;
        if (op == 0) {
            accumulate();
        } else if (op == 1) {
            counts.count((bit<32>)headers.command.index);
        } else if (op == 2) {
            packet_meter.execute_meter((bit<32>)headers.command.index, meta.color);
            headers.command.value = (bit<32>)meta.color;
        } else if (op == 3) {
            byte_meter.execute_meter((bit<32>)headers.command.index, meta.color);
            headers.command.value = (bit<32>)meta.color;
        } else if (op == 4) {
            meta.color = 3;
            by_index.apply();
            headers.command.value = (bit<32>)meta.color;
        } else if (op == 5) {
            random(headers.command.value, 32w10, 32w12);
        } else if (op == 16) {
            hash(headers.command.value, HashAlgorithm.crc16, 32w0, { headers.command.index, headers.command.value }, 64w0x100000000);
        } else if (op == 17) {
            hash(headers.command.value, HashAlgorithm.crc32, 32w0, { headers.command.index, headers.command.value }, 64w0x100000000);
        } else if (op == 18) {
            hash(headers.command.value, HashAlgorithm.csum16, 32w0, { headers.command.index, headers.command.value }, 64w0x100000000);
        } else if (op == 19) {
            hash(headers.command.value, HashAlgorithm.xor16, 32w0, { headers.command.index, headers.command.value }, 64w0x100000000);
        } else if (op == 20) {
            hash(headers.command.value, HashAlgorithm.identity, 32w0, { headers.command.index, headers.command.value }, 64w0x100000000);
        } else if (op == 21) {
            hash(headers.command.value, HashAlgorithm.crc32_custom, 32w0, { headers.command.index, headers.command.value }, 64w0x100000000);
        } else if (op == 22) {
            hash(headers.command.value, HashAlgorithm.crc16_custom, 32w0, { headers.command.index, headers.command.value }, 64w0x100000000);
        } else if (op == 23) {
            hash(headers.command.value, HashAlgorithm.crc32, 32w100, { headers.command.index, headers.command.value }, 32w7);
        } else if (op == 24) {
            log_msg("index {} value {}", { headers.command.index, headers.command.value });
        } else if (op == 25) {
            assert(headers.command.value == 0);
        }
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) { apply { } }
control Update(inout headers_t headers, inout metadata_t meta) { apply { } }

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.command);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Update(), Deparse()) main;
