"""What else on this machine keeps disks awake or gives them orders, found by looking alone."""
