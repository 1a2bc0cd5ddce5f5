"""Break a system: sabotaged code, full disks, cut connections, work that dies at a step."""
