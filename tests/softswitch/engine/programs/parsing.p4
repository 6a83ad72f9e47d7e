// Parser constructs: stacks, variable-length fields, lookahead, value sets, verify, advance, unions.
#include <core.p4>
#include <v1model.p4>

error { TooManyLabels, BadMagic }

header first_t {
    bit<8> kind;
    bit<8> next;
}

header label_t {
    bit<20> label;
    bit<3>  class;
    bit<1>  bottom;
    bit<8>  ttl;
}

header options_t {
    bit<8> length;  // octets of the options
    varbit<320> options;
}

header small_t { bit<16> value; }
header large_t { bit<32> value; }
header_union item_t {
    small_t small;
    large_t large;
}

header report_t {
    bit<8>  error_code;
    bit<8>  count;
    bit<16> looked;
    bit<8>  flags;
    int<8>  signed;
}

struct headers_t {
    report_t   report;
    first_t    first;
    label_t[3] labels;
    options_t  options;
    item_t[2]  items;
}

struct metadata_t {
    bit<16> looked;
    bit<8>  count;
    int<8>  signed;
}

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    value_set<bit<8>>(8) special_kinds;

    state start {
        packet.extract(headers.first);
        meta.looked = packet.lookahead<bit<16>>();
        transition select(headers.first.kind) {
            0: labels;
            1: options;
            2: items;
            3: skip;
            4: magic;
            5: around;
            special_kinds: special;
            0x80 &&& 0xf0: masked;
            default: accept;
        }
    }
    state labels {
        packet.extract(headers.labels.next);
        verify(headers.labels.last.ttl != 0, error.TooManyLabels);
        transition select(headers.labels.last.bottom) {
            0: labels;
            1: accept;
        }
    }
    state options {
        bit<8> length = packet.lookahead<bit<8>>();
        packet.extract(headers.options, (bit<32>)length * 8);
        transition accept;
    }
    state items {
        meta.count = meta.count + 1;
        transition select(packet.lookahead<bit<8>>()) {
            0x55: small_item;
            0xaa: large_item;
            default: accept;
        }
    }
    state small_item {
        packet.extract(headers.items.next.small);
        transition items;
    }
    state large_item {
        packet.extract(headers.items.next.large);
        transition items;
    }
    state skip {
        packet.advance((bit<32>)headers.first.next * 8);
        meta.looked = packet.lookahead<bit<16>>();
        transition accept;
    }
    state magic {
        verify(packet.lookahead<bit<16>>() == 0x4242, error.BadMagic);
        meta.count = 42;
        transition accept;
    }
    state around {
        meta.count = meta.count + 1;
        transition around;
    }
    state special {
        meta.count = 99;
        transition accept;
    }
    state masked {
        meta.signed = (int<8>)headers.first.next;
        meta.signed = meta.signed >> 1;
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) { apply { } }

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
        standard.egress_spec = 1;
        headers.report.setValid();
        if (standard.parser_error == error.NoError) {
            headers.report.error_code = 0;
        } else if (standard.parser_error == error.PacketTooShort) {
            headers.report.error_code = 1;
        } else if (standard.parser_error == error.StackOutOfBounds) {
            headers.report.error_code = 2;
        } else if (standard.parser_error == error.TooManyLabels) {
            headers.report.error_code = 3;
        } else if (standard.parser_error == error.BadMagic) {
            headers.report.error_code = 4;
        } else if (standard.parser_error == error.ParserTimeout) {
            headers.report.error_code = 5;
        } else if (standard.parser_error == error.HeaderTooShort) {
            headers.report.error_code = 6;
        } else {
            headers.report.error_code = 255;
        }
        headers.report.count = meta.count;
        headers.report.looked = meta.looked;
        headers.report.signed = meta.signed;
        if (headers.first.isValid()) { headers.report.flags = headers.report.flags | 1; }
        if (headers.labels[0].isValid()) { headers.report.flags = headers.report.flags | 2; }
        if (headers.labels[2].isValid()) { headers.report.flags = headers.report.flags | 4; }
        if (headers.options.isValid()) { headers.report.flags = headers.report.flags | 8; }
        if (headers.items[0].small.isValid()) { headers.report.flags = headers.report.flags | 16; }
        if (headers.items[0].large.isValid()) { headers.report.flags = headers.report.flags | 32; }
        if (headers.items[1].small.isValid() || headers.items[1].large.isValid()) { headers.report.flags = headers.report.flags | 64; }
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) { apply { } }
control Update(inout headers_t headers, inout metadata_t meta) { apply { } }

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.report);
        packet.emit(headers.first);
        packet.emit(headers.labels);
        packet.emit(headers.options);
        packet.emit(headers.items);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Update(), Deparse()) main;
