// Headers in controls: push and pop, run-time indices, assignment, comparison, unions, varbit copies.
#include <core.p4>
#include <v1model.p4>

header command_t {
    bit<8> op;
    bit<8> index;
    bit<8> value;
}

header element_t {
    bit<8> value;
}

header pair_t {
    bit<8> x;
    bit<8> y;
}

header small_t { bit<8> value; }
header large_t { bit<16> value; }
header_union either_t {
    small_t small;
    large_t large;
}

header text_t {
    bit<8> length;
    varbit<128> text;
}

struct headers_t {
    command_t    command;
    element_t[4] stack;
    pair_t       one;
    pair_t       two;
    either_t     either;
    text_t       text;
    text_t       copy;
}

struct metadata_t { }

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(headers.command);
        packet.extract(headers.stack.next);
        packet.extract(headers.stack.next);
        packet.extract(headers.one);
        packet.extract(headers.two);
        packet.extract(headers.either.small);
        bit<8> length = packet.lookahead<bit<8>>();
        packet.extract(headers.text, (bit<32>)length * 8);
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) { apply { } }

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
        standard.egress_spec = 1;
        bit<8> op = headers.command.op;
        if (op == 0) {
            headers.stack.push_front(1);
            headers.stack[0].setValid();
            headers.stack[0].value = headers.command.value;
        } else if (op == 1) {
            headers.stack.pop_front(1);
        } else if (op == 2) {
            headers.stack.push_front(3);
        } else if (op == 3) {
            headers.stack[headers.command.index].value = headers.command.value;
        } else if (op == 4) {
            headers.command.value = headers.stack[headers.command.index].value;
        } else if (op == 5) {
            headers.one = headers.two;
        } else if (op == 6) {
            headers.two.setInvalid();
            headers.one = headers.two;
        } else if (op == 7) {
            if (headers.one == headers.two) { headers.command.value = 1; } else { headers.command.value = 2; }
        } else if (op == 8) {
            headers.either.large.setValid();
            headers.either.large.value = 0xbeef;
        } else if (op == 9) {
            headers.either.small.setInvalid();
            headers.command.value = headers.either.isValid() ? 8w1 : 8w2;
        } else if (op == 10) {
            headers.copy = headers.text;
        } else if (op == 11) {
            headers.one.setInvalid();
            headers.one.setValid();
            headers.one.y = 5;
        } else if (op == 12) {
            headers.stack.pop_front(4);
        }
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) { apply { } }
control Update(inout headers_t headers, inout metadata_t meta) { apply { } }

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.command);
        packet.emit(headers.stack);
        packet.emit(headers.one);
        packet.emit(headers.two);
        packet.emit(headers.either);
        packet.emit(headers.text);
        packet.emit(headers.copy);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Update(), Deparse()) main;
