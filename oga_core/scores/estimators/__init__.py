"""The statistics that several scores stand on."""
