// Every kind of match. The packet is a key; the answer is written behind it.
#include <core.p4>
#include <v1model.p4>

header key_t {
    bit<8>  table_number;
    bit<8>  a;
    bit<16> b;
    bit<12> c;
    bit<4>  d;
}

header answer_t {
    bit<8>  hit;
    bit<16> value;
    bit<8>  path;
}

struct headers_t {
    key_t    key;
    answer_t answer;
}

struct metadata_t { }

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(headers.key);
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) { apply { } }

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    action answer(bit<16> value) {
        headers.answer.value = value;
    }
    action other(bit<16> value, bit<8> path) {
        headers.answer.value = value;
        headers.answer.path = path;
    }
    action nothing() { }

    table exact_table {
        key = { headers.key.a: exact; headers.key.c: exact; }
        actions = { answer; nothing; }
        default_action = nothing();
        size = 4;
    }
    table lpm_table {
        key = { headers.key.a: exact; headers.key.b: lpm; }
        actions = { answer; nothing; }
        default_action = answer(0xffff);
    }
    table ternary_table {
        key = { headers.key.a: ternary; headers.key.b: lpm; headers.key.d: exact; }
        actions = { answer; nothing; }
        default_action = nothing();
    }
    table range_table {
        key = { headers.key.a: range; headers.key.c: range; headers.key.b: ternary; }
        actions = { answer; nothing; }
        default_action = nothing();
    }
    table optional_table {
        key = { headers.key.a: optional; headers.key.d: optional; }
        actions = { answer; nothing; }
        default_action = nothing();
    }
    table valid_table {
        key = { headers.key.isValid(): exact; headers.answer.isValid(): exact; headers.key.b & 0x0ff0: exact; }
        actions = { answer; nothing; }
        default_action = nothing();
    }
    table const_table {
        key = { headers.key.a: ternary; headers.key.b: ternary; }
        actions = { answer; other; nothing; }
        const default_action = other(7, 70);
        const entries = {
            (0x10 &&& 0xf0, _): answer(1);
            (0x10, 0x2000 &&& 0xf000): answer(2);
            (_, 0x3333): other(3, 30);
        }
    }
    table const_lpm_table {
        key = { headers.key.b: lpm; }
        actions = { answer; nothing; }
        default_action = nothing();
        const entries = {
            0x1200 &&& 0xff00: answer(8);
            0x1230 &&& 0xfff0: answer(12);
            _: answer(0);
        }
    }

    apply {
        headers.answer.setValid();
        standard.egress_spec = 1;
        if (headers.key.table_number == 0) {
            if (exact_table.apply().hit) { headers.answer.hit = 1; } else { headers.answer.hit = 2; }
        } else if (headers.key.table_number == 1) {
            if (lpm_table.apply().miss) { headers.answer.hit = 2; } else { headers.answer.hit = 1; }
        } else if (headers.key.table_number == 2) {
            switch (ternary_table.apply().action_run) {
                answer: { headers.answer.path = 1; }
                default: { headers.answer.path = 2; }
            }
        } else if (headers.key.table_number == 3) {
            range_table.apply();
        } else if (headers.key.table_number == 4) {
            optional_table.apply();
        } else if (headers.key.table_number == 5) {
            valid_table.apply();
        } else if (headers.key.table_number == 6) {
            const_table.apply();
        } else if (headers.key.table_number == 7) {
            const_lpm_table.apply();
        } else {
            exit;
        }
        headers.key.table_number = 0xee;
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) { apply { } }
control Update(inout headers_t headers, inout metadata_t meta) { apply { } }

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.key);
        packet.emit(headers.answer);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Update(), Deparse()) main;
