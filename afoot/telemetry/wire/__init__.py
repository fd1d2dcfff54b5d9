"""One module a wire format; the module's name is the format's name. See afoot/telemetry/formats.py for what it has."""
