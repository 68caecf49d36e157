"""The only room that runs as root: a closed vocabulary of requests over a Unix socket; it decides nothing."""
