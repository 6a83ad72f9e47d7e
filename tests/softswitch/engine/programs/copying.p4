// Whole stacks and variable-length fields are copied, the parser makes headers valid and asks for the last index.
#include <core.p4>
#include <v1model.p4>

header command_t {
    bit<8> op;
    bit<8> last;
    bit<8> seen;
}

header element_t {
    bit<1> more;
    bit<7> value;
}

header text_t {
    bit<8> length;
    varbit<64> text;
}

header mark_t { bit<8> value; }

struct headers_t {
    command_t    command;
    element_t[3] stack;
    element_t[3] other;
    mark_t       mark;
    text_t       text;
    text_t       copy;
}

struct metadata_t { bit<8> last; }

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(headers.command);
        headers.mark.setValid();
        headers.mark.value = headers.command.op;
        transition elements;
    }
    state elements {
        packet.extract(headers.stack.next);
        meta.last = (bit<8>)headers.stack.lastIndex;
        transition select(headers.stack.last.more) {
            1: elements;
            default: text;
        }
    }
    state text {
        bit<8> length = packet.lookahead<bit<8>>();
        packet.extract(headers.text, (bit<32>)length * 8);
        transition select(headers.command.op) {
            9: unmark;
            default: accept;
        }
    }
    state unmark {
        headers.mark.setInvalid();
        headers.other = headers.stack;
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) { apply { } }

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
        standard.egress_spec = 1;
        headers.command.last = meta.last;
        if (headers.command.op == 1) {
            headers.other = headers.stack;
            headers.stack[0].value = 0;
        } else if (headers.command.op == 2) {
            headers.copy.setValid();
            headers.copy.length = headers.text.length;
            headers.copy.text = headers.text.text;
        } else if (headers.command.op == 3) {
            headers.stack = headers.other;
        }
        if (standard.parser_error == error.StackOutOfBounds) {
            headers.command.seen = 1;
        }
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) { apply { } }

control Compute(inout headers_t headers, inout metadata_t meta) { apply { } }

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.command);
        packet.emit(headers.mark);
        packet.emit(headers.stack);
        packet.emit(headers.other);
        packet.emit(headers.text);
        packet.emit(headers.copy);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Compute(), Deparse()) main;
