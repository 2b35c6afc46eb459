"""Simulated people and partner systems: they act only through the services' public APIs and topics."""
