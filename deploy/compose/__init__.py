"""The secrets that docker-compose.yml asks for."""
