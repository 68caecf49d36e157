"""The only process that runs as root: a closed vocabulary of requests over a Unix socket, no decisions."""
