"""The main process's hold on the machine: the only room with processes and raw sockets."""
