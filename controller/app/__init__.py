"""The processes of the control plane: protocol cores joined to sockets, clocks and switches."""
