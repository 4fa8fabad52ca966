"""The core on boards that one can buy: catalogue, clock, pins, tools (docs/boards/adding.md)."""
