"""What damaged archives of arrays raise; named without importing NumPy, as listing the cache does without it."""

import lzma
import struct
import zipfile
import zlib

NPZ_DAMAGE = (
    OSError, ValueError, EOFError, KeyError, OverflowError, struct.error,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What opening and reading one raises; a wrong bit may say that it is encrypted (RuntimeError) or compressed in a way
that nobody knows (NotImplementedError)."""
