"""What a result is made into: one folder per kind of object, each exporting `ENCODER`."""
