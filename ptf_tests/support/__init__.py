"""What the tests of the data plane are written in: packets, scenarios, a switch under control, and expectations."""
