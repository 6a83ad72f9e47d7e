// Two operands and an operation come in; the result goes out.
#include <core.p4>
#include <v1model.p4>

header operation_t {
    bit<8>  op;
    bit<16> a;
    bit<16> b;
    int<16> sa;
    int<16> sb;
}

header result_t {
    bit<32> value;
    int<16> signed;
    bit<8>  flag;
}

struct headers_t {
    operation_t operation;
    result_t    result;
}

struct metadata_t { }

parser Parse(packet_in packet, out headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    state start {
        packet.extract(headers.operation);
        transition accept;
    }
}

control Verify(inout headers_t headers, inout metadata_t meta) { apply { } }

control MainIngress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) {
    action compute() {
        bit<16> a = headers.operation.a;
        bit<16> b = headers.operation.b;
        int<16> sa = headers.operation.sa;
        int<16> sb = headers.operation.sb;
        if (headers.operation.op == 0) {
            headers.result.value = (bit<32>)(a + b);
            headers.result.signed = sa + sb;
        } else if (headers.operation.op == 1) {
            headers.result.value = (bit<32>)(a - b);
            headers.result.signed = sa - sb;
        } else if (headers.operation.op == 2) {
            headers.result.value = (bit<32>)a * (bit<32>)b;
            headers.result.signed = sa * sb;
        } else if (headers.operation.op == 3) {
            headers.result.value = (bit<32>)(a |+| b);
            headers.result.signed = sa |+| sb;
        } else if (headers.operation.op == 4) {
            headers.result.value = (bit<32>)(a |-| b);
            headers.result.signed = sa |-| sb;
        } else if (headers.operation.op == 5) {
            headers.result.value = (bit<32>)(a << b[4:0]);
            headers.result.signed = sa << (bit<8>)b[4:0];
        } else if (headers.operation.op == 6) {
            headers.result.value = (bit<32>)(a >> b[4:0]);
            headers.result.signed = sa >> (bit<8>)b[4:0];
        } else if (headers.operation.op == 7) {
            headers.result.value = (bit<32>)(a & b);
            headers.result.signed = sa | sb;
        } else if (headers.operation.op == 8) {
            headers.result.value = (bit<32>)(a ^ b);
            headers.result.signed = ~sa;
        } else if (headers.operation.op == 9) {
            headers.result.value = a ++ b;
            headers.result.signed = -sa;
        } else if (headers.operation.op == 10) {
            headers.result.value[23:8] = a;
            headers.result.signed = (int<16>)(int<8>)a[7:0];
        } else if (headers.operation.op == 11) {
            headers.result.value = (a > b) ? 32w1 : 32w2;
            headers.result.signed = (sa > sb) ? 16s1 : -16s1;
        } else if (headers.operation.op == 12) {
            headers.result.value = (bit<32>)(~a);
            headers.result.flag = (bit<8>)(bit<1>)(sa >= sb && !(a == b) || sa == -1);
        } else if (headers.operation.op == 13) {
            headers.result.value = (bit<32>)(bit<16>)(sa + 16s1);
            headers.result.flag = (bit<8>)(bit<1>)(sa + 16s1 < 0);
        }
    }
    apply {
        headers.result.setValid();
        standard.egress_spec = 1;
        compute();
    }
}

control MainEgress(inout headers_t headers, inout metadata_t meta, inout standard_metadata_t standard) { apply { } }
control Update(inout headers_t headers, inout metadata_t meta) { apply { } }

control Deparse(packet_out packet, in headers_t headers) {
    apply {
        packet.emit(headers.operation);
        packet.emit(headers.result);
    }
}

V1Switch(Parse(), Verify(), MainIngress(), MainEgress(), Update(), Deparse()) main;
