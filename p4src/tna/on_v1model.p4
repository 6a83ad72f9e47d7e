// The tunnel router of v1model with the collectives of TNA: work order, passes, the programs of their stateful ALUs, and
// what is made of results, with v1model's registers, and recirculation in place of the port that all passes take. Not a program to be used, but one that
// shows, on bmv2 and softswitch, that the collectives of TNA answer as those of v1model do.
#define FABRIC_ON_V1MODEL
#define COLLECTIVE_PORT 509
#define FIELDS_OF_PASS 2
#define INSTANCE_RECIRCULATED 4

#include "../v1model/fabric.p4"
