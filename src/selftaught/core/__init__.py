"""What every part stands on: settings, randomness, precision, devices, processes, files, progress."""
