// The TNA program of the profile `forwarding` on v1model.
#include "on_v1model/switch.p4"
