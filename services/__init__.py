"""The five services; each is whole without the other four."""
