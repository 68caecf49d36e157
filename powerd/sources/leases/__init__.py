"""Known clients from DHCP servers' own files, one file per format."""
