"""Everything around the services: embedded stack, containers, reference district, demo, replay, benchmark."""
