// Of the Tofino Native Architecture what the controls of the TNA program name in their signatures and read or write, for
// p4c-bm2-ss. Objects that compute (counters, hashes, registers) are macros of seam.p4; those of the deparsers, which
// v1model does not run, are declared only.
#ifndef FABRIC_ON_V1MODEL_TNA_P4_
#define FABRIC_ON_V1MODEL_TNA_P4_

#include <core.p4>
#include <v1model.p4>

typedef bit<9>  PortId_t;
typedef bit<10> MirrorId_t;
typedef bit<16> ReplicationId_t;

const bit<16> PARSER_ERROR_OK = 0;

struct ingress_intrinsic_metadata_t {
    PortId_t ingress_port;
}

struct ingress_intrinsic_metadata_from_parser_t {
    bit<48> global_tstamp;
    bit<16> parser_err;
}

struct ingress_intrinsic_metadata_for_deparser_t {
    bit<3> drop_ctl;
    bit<3> mirror_type;
}

struct ingress_intrinsic_metadata_for_tm_t {
    PortId_t ucast_egress_port;
    bit<1>   bypass_egress;
    bit<16>  mcast_grp_a;
    PortId_t level2_exclusion_id;
}

struct egress_intrinsic_metadata_t {
    PortId_t        egress_port;
    ReplicationId_t egress_rid;
}

struct egress_intrinsic_metadata_from_parser_t {
    bit<16> parser_err;
}

struct egress_intrinsic_metadata_for_deparser_t {
    bit<3> drop_ctl;
}

struct egress_intrinsic_metadata_for_output_port_t {
    bit<1> update_delay_on_tx;
}

extern Checksum {
    Checksum();
    bit<16> update<T>(in T data);
}

extern Mirror {
    Mirror();
    void emit<T>(in MirrorId_t session, in T front);
}

#endif  // FABRIC_ON_V1MODEL_TNA_P4_
