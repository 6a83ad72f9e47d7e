"""PTF tests of the data plane: one suite for every P4Runtime target, and the runner that brings target and ports up."""
